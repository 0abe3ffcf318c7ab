/* Empty.c - a library without any of the functions that a driver looks for.
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */

extern int aicc_test_empty;
int aicc_test_empty = 0;
