"""Starts the two real executables for the tests: keys, processes, channels and calls.

Everything is foreign to the code under test: the stubs are made by protoc's Python plugin, the wire is grpcio's.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import time
import uuid

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2  # made from our proto/ by stubs.py
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clinicavoice.appointment.v1 import appointment_service_pb2_grpc, time_block_service_pb2_grpc
from clinicavoice.patient.v1 import patient_service_pb2_grpc

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARIES = pathlib.Path(os.environ["CLINICAVOICE_BINARIES"])
START_SECONDS = 60  # a bound, not an expectation: a debug build on a busy machine


def message(name: str):
    """The Python class of a message of the contract, such as `appointment.v1.SlotConflict`."""
    found = descriptor_pool.Default().FindMessageTypeByName(f"clinicavoice.{name}")
    return message_factory.GetMessageClass(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Keys:
    """A development CA, certificates and a token signing key, as `deploy/up` makes them."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        subprocess.run([ROOT / "deploy/scripts/make-dev-pki", directory], check=True, capture_output=True)
        self.ca = (directory / "ca.pem").read_bytes()

    def token(self, role: str, subject: str, *more: str) -> str:
        command = [BINARIES / "patient-service", "dev-token", "--signing-key", self.directory / "jwt-signing-key.pem"]
        command += ["--role", role, "--sub", subject, *more]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def credentials(self, service: str | None = None) -> grpc.ChannelCredentials:
        """TLS with our CA; with the name of a service, its client certificate too."""
        if service is None:
            return grpc.ssl_channel_credentials(self.ca)
        key = (self.directory / f"{service}.key").read_bytes()
        chain = (self.directory / f"{service}.pem").read_bytes()
        return grpc.ssl_channel_credentials(self.ca, key, chain)


@dataclasses.dataclass
class Process:
    """One service process on a port of its own."""

    name: str
    keys: Keys
    data: pathlib.Path
    port: int = dataclasses.field(default_factory=free_port)
    more: tuple[str, ...] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def log(self) -> pathlib.Path:
        return self.data.parent / f"{self.data.name}.log"

    def command(self) -> list[str]:
        keys = self.keys.directory
        return [
            str(BINARIES / self.name), "serve", "--listen", f"127.0.0.1:{self.port}", "--environment", "test",
            "--development", "--tls-cert", f"{keys}/{self.name}.pem", "--tls-key", f"{keys}/{self.name}.key",
            "--client-ca", f"{keys}/ca.pem", "--jwks", f"{keys}/jwks.json",
            "--store-key-file", f"{keys}/store.key", "--data-dir", str(self.data), *self.more,
        ]

    def start(self) -> "Process":
        self.data.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
            with contextlib.suppress(grpc.RpcError), self.channel() as channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return self
        raise AssertionError(f"{self.name} is not healthy after {START_SECONDS} s:\n{self.log_tail()}")

    def stop(self) -> int:
        """SIGTERM and the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL: no goodbye."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process = None

    def channel(self, service: str | None = None, options=()) -> grpc.Channel:
        # Each channel has connections of its own, so that tests do not share a channel's backoff.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0), *options]
        return grpc.secure_channel(f"localhost:{self.port}", self.keys.credentials(service), options=options)

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:]) if self.log.exists() else ""


class Cluster:
    """Both services, appointment-service dialing patient-service."""

    def __init__(self, directory: pathlib.Path, keys: Keys, environment: dict[str, str] | None = None):
        self.keys = keys
        environment = environment or {}
        self.patient = Process("patient-service", keys, directory / "patient", environment=environment)
        self.appointment = Process(
            "appointment-service", keys, directory / "appointment",
            more=("--patient-service-target", f"dns:localhost:{self.patient.port}",
                  "--patient-service-ca", f"{keys.directory}/ca.pem"),
            environment=environment)

    def start(self) -> "Cluster":
        self.patient.start()
        self.appointment.start()
        return self

    def stop(self):
        self.appointment.stop()
        self.patient.stop()


class Caller:
    """One person's view of both services."""

    def __init__(self, cluster: Cluster, token: str | None, service: str | None = None):
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self._channels = [cluster.patient.channel(service), cluster.appointment.channel(service)]
        self._patients = patient_service_pb2_grpc.PatientServiceStub(self._channels[0])
        self._appointments = appointment_service_pb2_grpc.AppointmentServiceStub(self._channels[1])
        self._blocks = time_block_service_pb2_grpc.TimeBlockServiceStub(self._channels[1])

    def close(self):
        for channel in self._channels:
            channel.close()

    def patients(self, method: str, request=None, timeout=30, metadata=(), **fields):
        return self._call(self._patients, "patient.v1", method, request, timeout, metadata, fields)

    def appointments(self, method: str, request=None, timeout=30, metadata=(), **fields):
        return self._call(self._appointments, "appointment.v1", method, request, timeout, metadata, fields)

    def blocks(self, method: str, request=None, timeout=30, metadata=(), **fields):
        return self._call(self._blocks, "appointment.v1", method, request, timeout, metadata, fields)

    def _call(self, stub, package, method, request, timeout, metadata, fields):
        request = request if request is not None else message(f"{package}.{method}Request")(**fields)
        return getattr(stub, method)(
            request, timeout=timeout, metadata=[*self.metadata, *metadata], wait_for_ready=True)


def patient_fields(**changes) -> dict:
    """A patient that every rule accepts."""
    fields = dict(
        first_name="Maria", last_name="Muster", date_of_birth="1980-01-15", gender="GENDER_FEMALE",
        phone="+1 416 555 1234", email="maria.muster@example.com")
    fields.update(changes)
    return fields


def appointment_fields(patient_id: str, **changes) -> dict:
    """An appointment that every rule accepts, far enough ahead."""
    fields = dict(patient_id=patient_id, date="2031-03-04", time="09:00", type="APPOINTMENT_TYPE_CONSULTATION")
    fields.update(changes)
    return fields


def new_id() -> str:
    return str(uuid.uuid4())


@dataclasses.dataclass
class Refusal:
    """A status that is not OK, with its details unpacked."""

    code: grpc.StatusCode
    message: str
    details: list
    trailers: dict

    @property
    def reason(self) -> str | None:
        return next((d.reason for d in self.details if isinstance(d, error_details_pb2.ErrorInfo)), None)

    @property
    def domain(self) -> str | None:
        return next((d.domain for d in self.details if isinstance(d, error_details_pb2.ErrorInfo)), None)

    def detail(self, kind):
        return next((d for d in self.details if isinstance(d, kind)), None)

    @property
    def field_reasons(self) -> dict[str, str]:
        bad = self.detail(error_details_pb2.BadRequest)
        return {v.field: v.reason for v in bad.field_violations} if bad else {}


KNOWN_DETAILS = (
    error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.PreconditionFailure,
    error_details_pb2.ResourceInfo, error_details_pb2.RetryInfo)


def refusal(call, *arguments, **fields) -> Refusal:
    """Makes a call that must fail, and returns its status."""
    try:
        answer = call(*arguments, **fields)
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        details = []
        if packed := trailers.get("grpc-status-details-bin"):
            status = status_pb2.Status.FromString(packed)
            assert status.code == error.code().value[0], "grpc-status and its details disagree"
            for any_detail in status.details:
                known = next((k for k in KNOWN_DETAILS if any_detail.Is(k.DESCRIPTOR)), None)
                if known is None:
                    details.append(any_detail)
                else:
                    unpacked = known()
                    any_detail.Unpack(unpacked)
                    details.append(unpacked)
        return Refusal(error.code(), error.details(), details, trailers)
    raise AssertionError(f"the call should have been refused, but answered {answer}")
