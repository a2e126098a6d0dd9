#!/usr/bin/env bash
# Regenerates everything that is generated from proto/, the only way into generated code:
#   proto/generate.sh            writes into this checkout
#   proto/generate.sh DIR        writes the same tree below DIR (deploy/scripts/check-generated compares it)
#
# Needs protoc and protoc-gen-c (apt: protobuf-compiler protobuf-c-compiler) and the Swift toolchain.
# GENERATE_CONTRACT may name a generator that is built already.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root}
mkdir -p "$out"
out=$(cd "$out" && pwd)

log() { printf 'generate: %s\n' "$*" >&2; }

for tool in protoc protoc-gen-c; do
  command -v "$tool" >/dev/null || {
    log "$tool is missing: apt-get install protobuf-compiler protobuf-c-compiler"
    exit 1
  }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

generator=${GENERATE_CONTRACT:-}
if [[ -z $generator ]]; then
  swift build --package-path "$root" --product generate-contract >&2
  generator=$(swift build --package-path "$root" --show-bin-path)/generate-contract
fi

# The well-known types that the contract uses come with protoc.
well_known=(google/protobuf/{any,duration,empty,field_mask,timestamp}.proto)
mapfile -t protos < <(cd "$root/proto" && find . -name '*.proto' -printf '%P\n' | LC_ALL=C sort)
protoc -I "$root/proto" --include_imports --include_source_info --descriptor_set_out="$work/contract.pb" \
  "${well_known[@]}" "${protos[@]}"

c=$work/Sources/CProtobuf/generated
contract=$work/Sources/Shared/Contract/Generated
standard=$work/Sources/Shared/StandardProtos/Generated
mkdir -p "$c"
"$generator" --descriptor-set "$work/contract.pb" --lowered "$work/lowered.pb" --c-output "$c" \
  --contract-output "$contract" --standard-output "$standard" >"$work/c-files"
mapfile -t lowered < "$work/c-files"
protoc --descriptor_set_in="$work/lowered.pb" --c_out="$c" "${lowered[@]}"

for folder in Sources/CProtobuf/generated Sources/Shared/Contract/Generated Sources/Shared/StandardProtos/Generated; do
  rm -rf "${out:?}/$folder"
  if [[ -d $work/$folder ]]; then
    mkdir -p "$out/$(dirname "$folder")"
    cp -R "$work/$folder" "$out/$folder"
  fi
done
log "wrote C and Swift for ${#protos[@]} proto files"
