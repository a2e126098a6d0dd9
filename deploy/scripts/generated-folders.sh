# The folders that proto/generate.sh writes, each of them whole. Sourced, never run. Bash.

generated_c=Sources/CProtobuf/generated
generated_contract=Sources/Shared/Contract/Generated
generated_standard=Sources/Shared/StandardProtos/Generated
generated_interop_c=Sources/Tools/Interop/CInterop/generated
generated_interop=Sources/Tools/Interop/Protos/Generated
generated_folders=(
  "$generated_c" "$generated_contract" "$generated_standard" "$generated_interop_c" "$generated_interop")
