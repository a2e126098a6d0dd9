"""Makes Python stubs from proto/ and puts them, and google.rpc, on the path. Import it before the harness."""

import os
import pathlib
import sys
import tempfile

from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parents[2] / "proto"


def make_stubs() -> str:
    """Python stubs of our contract and of google.rpc, from the same files that the services are made from."""
    directory = tempfile.mkdtemp(prefix="clinicavoice-stubs-")
    files = sorted(
        str(path.relative_to(PROTO)) for folder in ("clinicavoice", "google") for path in (PROTO / folder).rglob("*.proto"))
    include = str(pathlib.Path(protoc.__file__).parent / "_proto")
    status = protoc.main(
        ["protoc", f"-I{PROTO}", f"-I{include}", f"--python_out={directory}", f"--grpc_python_out={directory}", *files])
    assert status == 0, "protoc could not make the Python stubs"
    return directory


sys.path[:0] = [make_stubs(), str(HERE)]
# `google` is a namespace that protobuf and our google.rpc share.
import google  # noqa: E402

google.__path__.append(os.path.join(sys.path[0], "google"))
