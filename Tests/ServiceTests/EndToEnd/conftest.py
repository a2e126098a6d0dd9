"""Makes the Python stubs from proto/, and gives the tests a running pair of services."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import stubs  # noqa: E402, F401
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
