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

# fetch_source PACKAGE: the source of a Debian package, with Debian's patches, as build/vendor/PACKAGE; does
# nothing when it is there. From the mirrors that this machine's packages come from, and verified by apt as
# they are; apt's own lists are left alone, so it needs no root.
fetch_source() {
  local package=$1 vendor="$ROOT/build/vendor" work
  [ -e "$vendor/$package" ] && return 0
  command -v apt-get >/dev/null || die "no apt-get here: unpack the source of $package as $vendor/$package yourself"
  need dpkg-dev debian-archive-keyring
  mkdir -p "$vendor"
  work=$(mktemp -d "$vendor/$package.XXXXXX")
  mkdir -p "$work/lists/partial" "$work/cache/partial" "$work/source"
  # shellcheck disable=SC2016  # apt's own variables
  # Which mirrors those are, apt knows best, in whatever form they are written down.
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' |
    awk -v keys=/usr/share/keyrings/debian-archive-keyring.gpg '{ print "deb-src [signed-by=" keys "] " $0 " main" }' |
    sort -u | grep -F debian >"$work/sources.list" || die "apt's sources name no Debian mirror"
  local apt=(apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=
    -o Acquire::Languages=none)
  if ! (cd "$work/source" && "${apt[@]}" update && "${apt[@]}" source --only-source "$package") >"$work/log" 2>&1; then
    cat "$work/log" >&2
    rm -rf "$work"
    die "could not fetch the source of $package"
  fi
  mv "$work"/source/*/ "$vendor/$package"
  rm -rf "$work"
}
