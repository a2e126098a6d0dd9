#!/usr/bin/env bash
# Regenerates everything that is generated from proto/ and from the interop tools' protos, the only way into generated
# code:
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
roots=("$root/proto" "$root/Sources/Tools/Interop/proto")
mapfile -t protos < <(find "${roots[@]}" -name '*.proto' -printf '%P\n' | LC_ALL=C sort)
protoc "${roots[@]/#/-I}" --include_imports --include_source_info --descriptor_set_out="$work/contract.pb" \
  "${well_known[@]}" "${protos[@]}"

source "$root/deploy/scripts/generated-folders.sh"
mkdir -p "${generated_folders[@]/#/$work/}"
"$generator" --descriptor-set "$work/contract.pb" --lowered "$work/lowered.pb" \
  --c-output "$work/$generated_c" --contract-output "$work/$generated_contract" \
  --standard-output "$work/$generated_standard" \
  --interop-c-output "$work/$generated_interop_c" --interop-output "$work/$generated_interop" >"$work/c-files"
for module in CProtobuf CInterop; do
  folder=$generated_c
  [[ $module == CProtobuf ]] || folder=$generated_interop_c
  mapfile -t lowered < <(sed -n "s/^$module //p" "$work/c-files")
  protoc --descriptor_set_in="$work/lowered.pb" --c_out="$work/$folder" "${lowered[@]}"
done

for folder in "${generated_folders[@]}"; do
  rm -rf "${out:?}/$folder"
  mkdir -p "$out/$(dirname "$folder")"
  cp -R "$work/$folder" "$out/$folder"
done
log "wrote C and Swift for ${#protos[@]} proto files"
