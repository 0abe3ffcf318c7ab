# aicc_compiler.py - compiles a model into a package file.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`compile(model, target, package)`, through the program `aicc`."""

from aicc_testing import call, last_line, program


class Error(RuntimeError):
    pass


def compile(model, target, package):
    status, _, err = call(program("aicc"), model, f"--target={target}", "-o", package)
    if status:
        raise Error(last_line(err) if status > 0 else f"aicc ended with {status}")
