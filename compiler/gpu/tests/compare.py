# compare.py - what a kernel computed beside what it should have
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Shared by the tests that run the sample kernels."""
import numpy as np


def compare(got, expected, tolerance):
    """None if they agree, else what differs. Integers agree exactly."""
    expected = np.asarray(expected)
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    if tolerance == 0 or expected.dtype.kind in "biu":
        return None if (got == expected).all() else "values differ"
    missing = np.isnan(expected)
    if (missing != np.isnan(got)).any():
        return "NaN at other places"
    got, expected = got[~missing], expected[~missing]
    error = np.abs(got.astype(np.float64) - expected).max(initial=0)
    scale = max(np.abs(expected.astype(np.float64)).max(initial=0), 1e-30)
    if not error <= tolerance * scale:
        return f"error {error / scale:.2e} of the largest value"
    return None
