#!/usr/bin/env bash
# install.sh - installs what aicc needs: install.sh [build] [demo] [test] [bench]
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Debian packages (packages.txt) by apt-get, Python packages (pinned) into
# build/venv by pip. Says what it installs; does nothing, and needs no network,
# where everything is there. The other scripts call it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

mkdir -p "$BUILD"
[ $# -gt 0 ] || set -- build
for what in "$@"; do
  case $what in
  build) install_packages build ;;
  demo)
    install_packages build
    install_python "$ROOT/scripts/requirements.txt"
    ;;
  test)
    install_packages build test
    install_python "$ROOT/scripts/requirements.txt" "$ROOT/tests/requirements.txt"
    ;;
  bench)
    install_packages build test
    install_python "$ROOT/scripts/requirements.txt" "$ROOT/tests/requirements.txt" \
      "$ROOT/benchmarks/requirements.txt"
    ;;
  *)
    echo "usage: install.sh [build] [demo] [test] [bench]" >&2
    exit 2
    ;;
  esac
done
