# What the scripts share. Sourced, not run.

# shellcheck disable=SC2034  # used by those who source this
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need PACKAGE...: installs those Debian packages that are missing; does nothing when none is.
need() {
  local missing=() package
  command -v apt-get >/dev/null || {
    say "no apt-get here: install these (or their like) yourself: $*"
    return 0
  }
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo: install these packages first: ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing: ${missing[*]}"
  # What is known already may do; only when it does not, ask for the lists.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
  "${as_root[@]}" apt-get update -q >&2 || say "apt-get update failed; trying with the lists there are"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 ||
    die "could not install: ${missing[*]}"
}

# need_command COMMAND PACKAGE...: the packages, unless the command is there already from another source.
need_command() {
  local command=$1
  shift
  command -v "$command" >/dev/null || need "$@"
}

# configure PRESET [ARGUMENT...]: configures build/PRESET; quiet unless it fails.
configure() {
  local log="$ROOT/build/$1.configure.log"
  mkdir -p "$ROOT/build"
  (cd "$ROOT" && cmake --preset "$@") >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

# sources FOLDER...: the C++ files below these folders of the tree, NUL-separated.
sources() {
  (cd "$ROOT" && find "$@" -name node_modules -prune -o -type f \( -name '*.hpp' -o -name '*.cpp' \) -print0)
}
