"""The service config of appointment-service's calls to patient-service: --patient-service-config (WIRE 2.12)."""

import signal
import subprocess
import time

import pytest

from harness import Caller, Process, appointment_fields, new_id
from test_patient_directory import PatientServicePeer, active

SPREAD = '{"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [{"name": [{}], "timeout": "1.5s"}]}'


@pytest.fixture
def peers(keys):
    peers = [PatientServicePeer(keys), PatientServicePeer(keys)]
    for peer in peers:
        peer.behave = active
    yield peers
    for peer in peers:
        peer.stop()


@pytest.fixture
def service(tmp_path, keys, peers):
    """An appointment-service whose calls are spread over both peers, and a way to book there."""
    config = tmp_path / "service-config.json"
    config.write_text(SPREAD)
    target = "static:" + ",".join(f"localhost:{peer.port}" for peer in peers)
    process = Process("appointment-service", keys, tmp_path / "appointment", more=(
        "--patient-service-target", target, "--patient-service-ca", f"{keys.directory}/ca.pem",
        "--patient-service-config", str(config))).start()
    process.config = config
    yield process
    process.stop()


class Clinic:
    def __init__(self, keys, process):
        class Cluster:
            patient = appointment = process

        self.caller = Caller(Cluster, keys.token("clinician", "clinician-1"))
        self.hour = 0

    def book(self):
        self.hour += 1
        self.caller.appointments("CreateAppointment", request_id=new_id(), appointment=appointment_fields(
            new_id(), date=f"2031-03-{self.hour:02}"))


def test_w55_the_config_of_the_file_spreads_calls_and_limits_their_time(keys, service, peers):
    """W55: the config of the file spreads calls over all instances and limits their time."""
    clinic = Clinic(keys, service)
    while not all(peer.calls for peer in peers):
        clinic.book()
        assert clinic.hour < 28, "one instance was never called"
    assert all(left <= 1.5 for peer in peers for _, _, left in peer.calls)
    clinic.caller.close()


def test_w55_a_bad_config_is_refused_whole_at_the_start_and_changes_nothing_on_sighup(keys, service, peers):
    """W55: a bad config is refused whole: at the start with one sentence, on SIGHUP the one before stays."""
    service.config.write_text('{"loadBalancingConfig": [{"pick_first": {}}], "methodConfig": [{"timeout": "soon"}]}')
    service.process.send_signal(signal.SIGHUP)
    wait_for_log(service, "service config stay as they were")
    clinic = Clinic(keys, service)
    while not all(peer.calls for peer in peers):
        clinic.book()
        assert clinic.hour < 28, "one instance was never called"
    clinic.caller.close()

    again = subprocess.run(service.command(), capture_output=True, text=True, timeout=60)
    assert again.returncode == 78
    assert "methodConfig[0].timeout" in again.stderr and "--patient-service-config" in again.stderr

    service.config.write_text('{"methodConfig": [{"name": [{}], "timeout": "0.75s"}]}')
    service.process.send_signal(signal.SIGHUP)
    wait_for_log(service, "and the service config again")
    for peer in peers:
        peer.calls.clear()
    clinic = Clinic(keys, service)
    clinic.hour = 28
    clinic.book()
    assert all(left <= 0.75 for peer in peers for _, _, left in peer.calls)
    clinic.caller.close()


def wait_for_log(process: Process, text: str):
    deadline = time.monotonic() + 60
    while text not in process.log.read_text():
        assert time.monotonic() < deadline, process.log_tail()
        time.sleep(0.05)
