# Shared by the commands in deploy/: sourced, never run. Bash.
# Gives: root (the repository), log, fail, ensure_packages, ensure_swift, ensure_venv.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

log() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

# One clear sentence, and out. Usage: fail "sentence" [exit code]
fail() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-1}"
}

# Installs the Debian packages that are missing; daemons that come along are not started.
ensure_packages() {
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null 2>&1 ||
    fail "these packages are missing and apt-get is not here to install them: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
      fail "these packages are missing; install them as root: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  log "installing ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d made_policy=no
  if [ ! -e "$policy" ]; then # tells Debian's maintainer scripts not to start what they install
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod +x "$policy"
    made_policy=yes
  fi
  local status=0
  "${sudo[@]}" apt-get update -qq >/dev/null &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
      >/dev/null || status=$?
  [ "$made_policy" = no ] || "${sudo[@]}" rm -f "$policy"
  [ "$status" -eq 0 ] || fail "apt-get could not install: ${missing[*]}"
}

# The C libraries and generators that a build needs.
build_packages=(libnghttp2-dev libprotobuf-c-dev libsqlite3-dev libssl-dev zlib1g-dev pkg-config openssl tzdata)

ensure_swift() {
  command -v swift >/dev/null 2>&1 ||
    fail "no Swift toolchain on the PATH; install Swift 6.3 or newer from swift.org and run this again"
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  case "$version" in
    6.[3-9] | 6.[1-9][0-9] | [7-9].* | [1-9][0-9].*) ;;
    *) fail "Swift 6.3 or newer is needed; this is ${version:-of an unknown version}" ;;
  esac
}

# What is run, and measured: one file that needs no Swift runtime beside it, and calls it a tenth faster.
release_build=(-c release --static-swift-stdlib)

# Builds, saying every half minute how far it is; on failure shows where, and ends. Usage: swift_build LOG option…
swift_build() {
  local output=$1 reporter status=0
  shift
  report_build "$output" &
  reporter=$!
  # In the foreground, so that Ctrl-C ends it.
  swift build --package-path "$root" "$@" >"$output" 2>&1 || status=$?
  kill "$reporter" 2>/dev/null || true
  wait "$reporter" 2>/dev/null || true
  [ "$status" -eq 0 ] && return 0
  grep -aE '^[^ ]+:[0-9]+:[0-9]+: error:|^error:' "$output" | sort -u | head -n 40 >&2
  fail "the build failed; its output is in $output"
}

report_build() { # log file: until the script that started it is gone
  local progress last=
  while sleep 30 && kill -0 $$ 2>/dev/null; do
    progress=$(grep -ao '^\[[0-9]*/[0-9]*\]' "$1" | tail -n 1 || true)
    [ "$progress" = "$last" ] || log "building: step ${progress//[\[\]]/}"
    last=$progress
  done
}

# Makes (or reuses) a Python environment with the requirements in a file. Usage: ensure_venv DIR FILE
ensure_venv() {
  local directory=$1 requirements=$2
  if ! cmp -s "$requirements" "$directory/installed-requirements.txt"; then
    log "preparing the Python environment $directory"
    python3 -m venv "$directory" || fail "could not make a Python environment at $directory"
    "$directory/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" ||
      fail "pip could not install what $requirements lists"
    cp "$requirements" "$directory/installed-requirements.txt"
  fi
}
