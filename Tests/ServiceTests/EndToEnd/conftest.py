"""Makes the Python stubs from proto/, and gives the tests a running pair of services."""

import os
import pathlib
import sys
import tempfile

import pytest
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

import harness  # noqa: E402


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> harness.Keys:
    return harness.Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, keys):
    """One pair for all tests that leave it as they found it; each test uses a clinician of its own."""
    cluster = harness.Cluster(tmp_path_factory.mktemp("cluster"), keys).start()
    yield cluster
    cluster.stop()


@pytest.fixture
def own_cluster(tmp_path, keys):
    """A pair that a test may stop, kill and start."""
    cluster = harness.Cluster(tmp_path, keys).start()
    yield cluster
    cluster.stop()


@pytest.fixture
def clinician(cluster, keys):
    caller = harness.Caller(cluster, keys.token("clinician", f"clinician-{harness.new_id()}"))
    yield caller
    caller.close()


@pytest.fixture
def caller_of(keys):
    """Makes callers of any cluster; closes their channels afterwards."""
    made = []

    def make(cluster, role="clinician", subject=None, *more, service=None):
        token = keys.token(role, subject or f"{role}-{harness.new_id()}", *more) if role else None
        made.append(harness.Caller(cluster, token, service))
        return made[-1]

    yield make
    for caller in made:
        caller.close()
