#!/usr/bin/env python3
# estimate_test.py - what the estimate counts.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Counts of machine code and IR against numbers worked out by hand; with ptxas and
nvdisasm also of compiled cases."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "harness"))
sys.path.insert(0, str(HERE))
from aicc_testing import SKIP, vendor_tool  # noqa: E402
import cases  # noqa: E402
import estimate  # noqa: E402
import kernel_ir  # noqa: E402
import sass  # noqa: E402

CODE = """
.text.k:
        /*0000*/                   S2R R0, SR_TID.X ;
        /*0010*/                   LDG.E.128 R8, desc[UR4][R4.64] ;
        /*0020*/                   LDG.E.128 R12, desc[UR4][R6.64] ;
        /*0030*/                   FADD R8, R8, R12 ;
        /*0040*/                   LDG.E.U16 R5, desc[UR4][R8.64] ;
.L_x_0:
        /*0050*/                   LDSM.16.M88.4 R20, [R0] ;
        /*0060*/                   HMMA.16816.F32.BF16 R52, R84.reuse, R80, R52 ;
        /*0070*/                   HMMA.1688.F32.TF32 R52, R84, R80, R52 ;
        /*0080*/                   LDGSTS.E.BYPASS.128 [R9], desc[UR8][R10.64], P0 ;
        /*0090*/              @!P0 BRA `(.L_x_0) ;
        /*00a0*/               @P1 EXIT ;
        /*00b0*/                   STG.E.64 desc[UR4][R6.64], R8 ;
        /*00c0*/                   EXIT ;
        /*00d0*/                   MUFU.RCP R1, R2 ;
.L_x_1:
        /*00e0*/                   BRA `(.L_x_1);
"""

KERNELS = """#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1, d0)>
#map2 = affine_map<(d0, d1) -> (d0)>
module {
  exec.kernel @k(%arg0: tensor<3x5xf16>, %arg1: tensor<100x3xf16>, %arg2: tensor<5xi64>) -> (tensor<5x3xf16>) {
    %1 = linalg.generic {indexing_maps = [#map1, #map2, #map], iterator_types = ["parallel", "parallel"]} """ \
    """ins(%arg0, %arg2 : tensor<3x5xf16>, tensor<5xi64>) outs(%0 : tensor<5x3xf16>) {
    ^bb0(%in: f16, %in_0: i64, %out: f16):
      %extracted = tensor.extract %arg1[%5, %6] : tensor<100x3xf16>
      linalg.yield %extracted : f16
    } -> tensor<5x3xf16>
  }
}
"""


class Counts(unittest.TestCase):
    def test_machine_code(self):
        outside, loop = sass.kernels(CODE)["k"]
        self.assertEqual(outside.loop, None)
        # Two loads at once, then one whose address comes from them.
        self.assertEqual((outside.rounds, outside.loaded, outside.stored), (2, 32 * 34, 32 * 8))
        self.assertEqual(outside.count["special"], 0)
        self.assertEqual(dict(loop.matrix), {("warp", "bf16"): 16 * 8 * 16, ("warp", "tf32"): 16 * 8 * 8})
        self.assertEqual((loop.shared_bytes, loop.copied, loop.loaded), (512 + 512, 512, 0))
        self.assertEqual(loop.count["issued"], 5)

    def test_accesses(self):
        # 15 elements of 2 bytes are gathered; each of the transposed operand's costs a sector.
        self.assertEqual(kernel_ir.accesses(KERNELS), {"k": {0: (0, 32 * 15), 1: (2 * 15, 0)}})

    def test_causal_attention(self):
        # 300 queries by tiles of 128, 64 keys a tile; heads of 32 and values of 16, 2 of them.
        scores = kernel_ir.Product("k", 300, 300, 32, 2, ("f16", "f16"))
        results = kernel_ir.Product("k", 300, 16, 300, 2, ("f16", "f16"))
        amount = 128 * 64 * (32 + 16)
        region = sass.Region((0, 1))
        region.matrix["warp", "f16"] = amount // 8
        tiles = estimate.attention((scores, results), True, 6, [sass.Region(None), region, region], 8)
        self.assertIsNone(tiles)  # three tiles of 100 queries: not 128
        scores, results = scores._replace(rows=384, columns=384), results._replace(rows=384, reduced=384)
        tiles = estimate.attention((scores, results), True, 6, [sass.Region(None), region, region], 8)
        # The last queries first: all 6 tiles of keys, 4, 2; of them whole 4, 2, 0.
        self.assertEqual((tiles.all, tiles.whole), ([6, 4, 2], [4, 2, 0]))
        self.assertEqual((tiles.trips(2), tiles.trips(1)), ([2, 2], [4]))
        # Two of three workgroups for each of two processors: 6 + 4 + 2 tiles.
        self.assertEqual(tiles.rounds(2), 12 / 4)
        tiles = estimate.attention((scores, results), False, 6, [sass.Region(None), region], 8)
        self.assertEqual((tiles.all, tiles.whole), ([6, 6, 6], [6, 6, 6]))

    def test_occupancy(self):
        chip = estimate.CHIPS["cuda:sm_90"]
        row = {"threads": 256, "registers": 128, "shared": 48 << 10}
        self.assertEqual(estimate.occupancy(chip, row), (2, 0.25))
        self.assertEqual(estimate.occupancy(chip, dict(row, registers=16)), (4, 0.5))


class Cases(unittest.TestCase):
    def rows(self, name):
        if not vendor_tool("ptxas") or not vendor_tool("nvdisasm"):
            self.skipTest("ptxas or nvdisasm is not installed")
        with tempfile.TemporaryDirectory() as work:
            case = cases.BY_NAME[name]
            return estimate.examine(case, cases.path(case, work), "cuda:sm_90", pathlib.Path(work))[0]

    def test_product(self):
        (row,) = self.rows("gemm_4096_f16")
        self.assertEqual((row["multiply_adds"], row["bytes"]), (4096**3, 3 * 2 * 4096**2))
        # Matrix instructions of a warp can't reach the peak; a tile of 128 x 128 can't be ten times slower.
        self.assertLess(row["roofline"] / 0.629, row["estimate"])
        self.assertLess(row["estimate"], 10 * row["roofline"])

    def test_attention(self):
        (row,) = self.rows("attention_causal_f16")
        # Of 4096 x 4096 scores of 4 x 32 heads those are counted that are seen; nothing hidden is computed but on the
        # diagonal.
        self.assertEqual(row["multiply_adds"], 4 * 32 * (4096 * 4097 // 2) * 2 * 128)
        self.assertLess(row["roofline"] / 0.629, row["estimate"])
        self.assertLess(row["estimate"], 4 * row["roofline"])

    def test_gather(self):
        (row,) = self.rows("gather_f16")
        self.assertEqual(row["bytes"], 2 * cases.ROWS * cases.COLUMNS * 2 + 8 * cases.ROWS)


if __name__ == "__main__":
    program = unittest.main(exit=False)
    skipped = len(program.result.skipped)
    sys.exit(not program.result.wasSuccessful() or (SKIP if skipped == program.result.testsRun else 0))
