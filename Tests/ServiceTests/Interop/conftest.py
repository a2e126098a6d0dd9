"""Makes the Python stubs of gRPC's interop service, a certificate authority, and starts the servers of the matrix."""

import contextlib
import pathlib
import sys
import tempfile

import pytest
from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parents[2] / "Sources/Tools/Interop/proto"


def make_stubs() -> str:
    directory = tempfile.mkdtemp(prefix="interop-stubs-")
    files = [str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto")]
    status = protoc.main(
        ["protoc", f"-I{PROTO}", f"--python_out={directory}", f"--grpc_python_out={directory}", *files])
    assert status == 0, "protoc could not make the Python stubs"
    return directory


STUBS = make_stubs()
sys.path[:0] = [STUBS, str(HERE)]
# `grpc` is grpcio's package; the stubs of grpc.testing live beside it.
import grpc  # noqa: E402

grpc.__path__.append(f"{STUBS}/grpc")

import certificates  # noqa: E402
import peers  # noqa: E402


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> certificates.Keys:
    return certificates.Keys(tmp_path_factory.mktemp("interop-keys"))


@pytest.fixture(scope="session")
def server_of(keys):
    """Gives the port of an implementation's server, started once for each transport."""
    ports: dict[tuple[str, bool], int] = {}
    with contextlib.ExitStack() as servers:

        def port(implementation: str, tls: bool) -> int:
            if (implementation, tls) not in ports:
                ports[implementation, tls] = servers.enter_context(peers.server(implementation, keys if tls else None))
            return ports[implementation, tls]

        yield port
