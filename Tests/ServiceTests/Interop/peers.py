"""The implementations of the matrix: ours, Python's grpcio and gRPC C++, each with a server and a client."""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import select
import shutil
import subprocess
import tempfile

import certificates
import grpcio_client
import grpcio_server

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PROTO = ROOT / "Sources/Tools/Interop/proto"
OURS = pathlib.Path(os.environ["CLINICAVOICE_BINARIES"])
SECONDS = 120  # a bound, not an expectation: debug builds on a busy machine


@contextlib.contextmanager
def server(implementation: str, keys: certificates.Keys | None, unix_socket: pathlib.Path | None = None):
    """Runs a server on the loopback; over TLS if there are keys. Gives its port.

    With `unix_socket`, it listens there as well, in cleartext; gRPC C++ does not.
    """
    if implementation == "grpcio":
        with grpcio_server.serving(keys, unix_socket) as port:
            yield port
        return
    command = [OURS / "interop-server"] if implementation == "ours" else [cpp_peer(), "server"]
    tls = _server_tls(keys) if keys else []
    unix = [f"--unix_socket={unix_socket}"] if unix_socket else []
    with _process([*command, "--port=0", *tls, *unix]) as port:
        yield port


def _server_tls(keys: certificates.Keys) -> list[str]:
    return ["--use_tls=true", f"--tls_cert_file={keys.certificate}", f"--tls_key_file={keys.key}"]


@contextlib.contextmanager
def _process(command):
    """Starts a server that prints "listening on PORT", and ends it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            ready, _, _ = select.select([process.stdout], [], [], SECONDS)
            line = process.stdout.readline().decode() if ready else ""
            if not line.startswith("listening on "):
                log.seek(0)
                raise AssertionError(f"{command[0]} did not start:\n{log.read().decode(errors='replace')}")
            yield int(line.split()[-1])
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def run_client(implementation: str, case: str, port: int, keys: certificates.Keys | None):
    """Runs one case; over TLS if there are keys. Raises AssertionError, with what the client says, unless it passes."""
    if implementation == "grpcio":
        grpcio_client.run(case, port, keys)
    else:
        result = run(client_command(implementation, case, port, keys))
        assert result.returncode == 0, f"exit code {result.returncode}: {result.stdout}{result.stderr}"


def client_command(
        implementation: str, case: str, port: int, keys: certificates.Keys | None,
        name: str = certificates.SERVER_NAME) -> list:
    """A client that runs one case; over TLS, to a server of this name, if there are keys."""
    program = [OURS / "interop-client"] if implementation == "ours" else [cpp_peer(), "client"]
    tls = ["--use_tls=true", "--use_test_ca=true", f"--ca_file={keys.ca}", f"--server_host_override={name}"] \
        if keys else []
    return [*program, "--server_host=127.0.0.1", f"--server_port={port}", f"--test_case={case}", *tls]


def run(command: list) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)


def cpp_peer() -> pathlib.Path:
    """The C++ program, compiled once for each state of its sources and of the libraries' version."""
    if "cpp" not in _built:
        _built["cpp"] = _build_cpp_peer()
    return _built["cpp"]


_built: dict[str, pathlib.Path] = {}


def _build_cpp_peer() -> pathlib.Path:
    protos = sorted(PROTO.rglob("*.proto"))
    packages = ["grpc++", "protobuf"]
    digest = hashlib.sha256(_output("pkg-config", "--modversion", *packages).encode())
    for source in [*sorted((HERE / "cpp").iterdir()), *protos]:
        digest.update(source.read_bytes())
    cache = pathlib.Path(os.environ.get("CLINICAVOICE_TEST_CACHE", tempfile.gettempdir())) / "interop-cpp"
    program = cache / digest.hexdigest()[:16]
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        relative = [str(proto.relative_to(PROTO)) for proto in protos]
        _build(["protoc", f"-I{PROTO}", f"--cpp_out={work}", f"--grpc_out={work}",
                f"--plugin=protoc-gen-grpc={shutil.which('grpc_cpp_plugin')}", *relative])
        sources = [*sorted((HERE / "cpp").glob("*.cc")), *sorted(pathlib.Path(work).rglob("*.cc"))]
        include = [f"-I{work}", f"-I{HERE / 'cpp'}"]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as compilers:
            objects = list(compilers.map(
                lambda item: _compile([*include, str(item[1])], f"{work}/{item[0]}.o"), enumerate(sources)))
        _build(["g++", "-o", f"{work}/peer", *objects, *_output("pkg-config", "--libs", *packages).split()])
        os.replace(f"{work}/peer", program)
    return program


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _compile(arguments: list[str], output: str) -> str:
    _build(["g++", "-std=c++17", "-O0", "-Wall", "-Werror", "-c", "-o", output, *arguments])
    return output


def _build(command: list):
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, f"{command[0]} failed:\n{result.stderr[-4000:]}"
