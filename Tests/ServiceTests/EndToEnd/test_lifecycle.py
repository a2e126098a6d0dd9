"""Configuration, clock, commands and signals of the real executables (DESIGN 2, 8)."""

import ctypes
import json
import pathlib
import platform
import signal
import struct
import subprocess

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from harness import BINARIES, Caller, Cluster, Process, appointment_fields, patient_fields, refusal

SERVICES = ["patient-service", "appointment-service"]


def run(*arguments, **more):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=60, **more)


@pytest.mark.parametrize("name", SERVICES)
def test_all_faults_of_a_configuration_are_told_at_once(name):
    done = run(BINARIES / name, "serve", "--listen", "nowhere", "--log-level", "loud")
    faults = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 78 and len(faults) >= 7 and faults == done.stderr.splitlines()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path, keys):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(
        {"environment": "file", "log-level": "debug", "shutdown-grace": "3s", "default-time-zone": "Europe/Madrid"}))
    command = Process("patient-service", keys, tmp_path / "data").command() + [
        "--config", str(settings), "--print-configuration"]
    done = run(*command, env={"CLINICAVOICE_LOG_LEVEL": "error", "CLINICAVOICE_ENVIRONMENT": "env"})
    printed = json.loads(done.stdout)
    assert done.returncode == 0 and not (tmp_path / "data").exists()
    assert (printed["environment"], printed["log-level"], printed["shutdown-grace"], printed["default-time-zone"]) == (
        "test", "error", "3s", "Europe/Madrid")


@pytest.mark.parametrize("name", SERVICES)
def test_describe_prints_the_tables(name):
    tables = json.loads(run(BINARIES / name, "describe", "--environment", "prod").stdout)
    assert tables and all(t["tableName"].startswith("clinicavoice-") and t["tableName"].endswith("-prod") for t in tables)


def test_rules_that_depend_on_time_follow_the_clock_file(tmp_path, keys):
    clock = tmp_path / "clock"
    cluster = Cluster(tmp_path, keys)
    for process in (cluster.patient, cluster.appointment):
        process.more += ("--development-clock-file", str(clock))
    cluster.start()
    try:
        caller = Caller(cluster, keys.token("clinician", "clinician-1"))
        patient = caller.patients("CreatePatient", patient=patient_fields()).patient
        caller.appointments("CreateAppointment", appointment=appointment_fields(patient.id))
        clock.write_text("2040-01-01T00:00:00Z\n")
        found = refusal(caller.appointments, "CreateAppointment", appointment=appointment_fields(patient.id, time="15:00"))
        assert found.field_reasons == {"appointment.date": "APPOINTMENT_IN_PAST"}
        clock.write_text("-1d\n")
        caller.appointments("CreateAppointment", appointment=appointment_fields(patient.id, time="15:00"))
        caller.close()
    finally:
        cluster.stop()


def test_a_second_signal_does_not_wait_for_the_calls_under_way(tmp_path, keys):
    process = Process("patient-service", keys, tmp_path / "data", more=("--shutdown-grace", "1h")).start()
    running = process.process
    with process.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)

        def questions():
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            while running.poll() is None:  # keeps the stream open until the process is gone
                try:
                    running.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    pass

        answers = stub.ServerReflectionInfo(questions())
        next(answers)
        running.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=2)
        assert process._end(signal.SIGTERM) == 128 + signal.SIGTERM
        with pytest.raises(grpc.RpcError):
            next(answers)


def test_verify_checks_the_store_of_a_stopped_service(own_cluster, keys):
    caller = Caller(own_cluster, keys.token("clinician", "clinician-1"))
    caller.patients("CreatePatient", patient=patient_fields())
    caller.close()
    command = [BINARIES / "patient-service", "verify", "--data-dir", own_cluster.patient.data,
               "--store-key-file", keys.directory / "store.key", "--environment", "test"]
    assert run(*command).returncode == 69, "the service holds its store"
    own_cluster.stop()
    done = run(*command)
    assert done.returncode == 0 and "all is well" in done.stdout
    assert run(*command[:-1], "other").returncode == 78


def test_a_pair_without_tls_knows_its_services_by_token(tmp_path, keys):
    token = tmp_path / "service.jwt"
    token.write_text(keys.token("service", "appointment-service"))
    processes = []
    try:
        for name, more in (("patient-service", []), ("appointment-service", ["--patient-service-token-file", str(token)])):
            process = Process(name, keys, tmp_path / name)
            if processes:
                more += ["--patient-service-target", f"dns:localhost:{processes[0][1].port}"]
            command = [BINARIES / name, "serve", "--listen", f"127.0.0.1:{process.port}", "--development", "--plaintext",
                       "--jwks", keys.directory / "jwks.json", "--data-dir", tmp_path / name, *more]
            processes.append((subprocess.Popen([str(a) for a in command], stderr=subprocess.DEVNULL), process))
        caller = Caller(PlaintextPair(processes[0][1].port, processes[1][1].port), keys.token("clinician", "clinician-1"))
        patient = caller.patients("CreatePatient", patient=patient_fields()).patient
        booked = caller.appointments("CreateAppointment", appointment=appointment_fields(patient.id)).appointment
        assert booked.patient_id == patient.id
        caller.close()
    finally:
        for running, _ in processes:
            running.terminate()
            assert running.wait(timeout=60) == 0


class PlaintextPair:
    """What a Caller needs of a cluster, without TLS."""

    def __init__(self, *ports: int):
        self.patient, self.appointment = (PlaintextEnd(port) for port in ports)


class PlaintextEnd:
    def __init__(self, port: int):
        self.port = port

    def channel(self, service=None):
        return grpc.insecure_channel(f"localhost:{self.port}")


class UnixProcess(Process):
    """A service that listens at a path."""

    @property
    def path(self):
        return self.data.parent / "s.sock"

    def command(self):
        return [f"unix:{self.path}" if part == f"127.0.0.1:{self.port}" else part for part in super().command()]

    def channel(self, service=None, options=()):
        # A path is no name that a certificate could hold.
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost"), *options]
        return grpc.secure_channel(f"unix:{self.path}", self.keys.credentials(service), options=options)


def test_a_service_listens_at_a_path_and_takes_over_one_that_was_left_behind(tmp_path, keys):
    process = UnixProcess("patient-service", keys, tmp_path / "data")
    process.start()  # which asks for its health
    process.kill()
    assert process.path.is_socket()
    process.start()
    assert process.stop() == 0


def slices(pid: int) -> dict[str, int]:
    """The time slice in ns of each thread by its id and name, as sched_getattr(2) tells; 0 where the kernel knows none."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        attributes = ctypes.create_string_buffer(56)
        assert libc.syscall(number, int(task.name), attributes, len(attributes), 0) == 0, ctypes.get_errno()
        found[f"{task.name} {(task / 'comm').read_text().strip()}"] = struct.unpack_from("<Q", attributes, 24)[0]
    return found


def test_event_loops_have_short_time_slices_where_the_kernel_knows_them(tmp_path, keys):
    service = Process("patient-service", keys, tmp_path / "data").start()
    try:
        found = slices(service.process.pid)
    finally:
        assert service.stop() == 0
    loops = {name: length for name, length in found.items() if "NIO-SGLTN" in name}
    assert loops and len(loops) < len(found)
    knows_slices = max(found.values()) > 0
    assert set(loops.values()) == {100_000 if knows_slices else 0}, found
