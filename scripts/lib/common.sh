# common.sh - what the scripts share: messages, packages, the Python environment.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Sourced, with `set -euo pipefail` in force. Everything here can be run again:
# it looks first at what is there, and touches the network only for what isn't.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${AICC_BUILD_DIR:-$ROOT/build}
VENV=$BUILD/venv
PYTHON=$VENV/bin/python
JOBS=${AICC_JOBS:-$(nproc)}

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "root is needed to install packages, and there is no sudo: run as root: $*"
  fi
}

# The packages of the given sections of packages.txt.
packages_of() {
  local section
  for section in "$@"; do
    sed -n "/^\[$section\]/,/^\[/p" "$ROOT/scripts/packages.txt" | grep -v -e '^\[' -e '^#' -e '^$'
  done
}

# Installs the Debian packages of the given sections that are missing.
install_packages() {
  local missing=() name absent=()
  for name in $(packages_of "$@"); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq || die "apt-get update failed, and these packages are missing: ${missing[*]}"
  for name in "${missing[@]}"; do
    case $(apt-cache policy "$name" 2>/dev/null) in
    *"Candidate: (none)"* | "") absent+=("$name") ;;
    esac
  done
  [ ${#absent[@]} -eq 0 ] ||
    die "apt's sources have no package ${absent[*]}: aicc needs Debian 12 with its security updates enabled"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The requirements of a file that the environment doesn't have yet.
missing_python() {
  "$PYTHON" - "$1" <<'END'
import importlib.metadata, sys
missing = []
for line in open(sys.argv[1]):
    name, _, version = line.strip().partition("==")
    if not name or name.startswith("#"):
        continue
    try:
        if importlib.metadata.version(name) == version:
            continue
    except importlib.metadata.PackageNotFoundError:
        pass
    missing.append(f"{name} {version}")
print(", ".join(missing) or "none is missing")
END
}

# install_python FILE...: the pinned packages of requirement files into $VENV.
# The files list whole closures, so that nothing has to be resolved.
install_python() {
  local file stamp
  [ -x "$PYTHON" ] || {
    say "creating a Python environment in ${VENV#"$ROOT"/}"
    python3 -m venv "$VENV"
  }
  for file in "$@"; do
    stamp=$VENV/.installed-$(echo "${file#"$ROOT"/}" | tr / -)
    cmp -s "$file" "$stamp" && continue
    say "installing Python packages: $(missing_python "$file")"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps -r "$file" ||
      die "pip could not install the packages of ${file#"$ROOT"/}"
    if grep -q '^torch==' "$file"; then
      "$PYTHON" "$ROOT/scripts/lib/torch_without_cuda.py" ||
        die "PyTorch can't be imported in ${VENV#"$ROOT"/}"
    fi
    cp "$file" "$stamp"
  done
}

# Configures and builds the given preset (default: release), whole or the given targets.
build() {
  local preset=$1
  shift
  (cd "$ROOT" && cmake --preset "$preset" >"$BUILD/.configure-$preset.log" 2>&1) || {
    tail -40 "$BUILD/.configure-$preset.log" >&2
    die "cmake --preset $preset failed"
  }
  local folder=build
  [ "$preset" = release ] || folder=build-$preset
  ninja -C "$ROOT/$folder" -j "$JOBS" "$@"
}

# Lets the `intel` device find Intel's OpenCL runtime for CPUs in $VENV, and
# makes that runtime generate the same code on every machine.
use_intel_runtime() {
  [ -e "$VENV/lib/libintelocl.so" ] || return 0
  export AICC_OPENCL_LIBRARY=${AICC_OPENCL_LIBRARY:-$VENV/lib/libintelocl.so}
  export CL_CONFIG_CPU_TARGET_ARCH=${CL_CONFIG_CPU_TARGET_ARCH:-core-avx2}
}
