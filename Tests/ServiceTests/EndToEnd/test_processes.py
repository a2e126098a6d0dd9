"""The executables as an operator meets them: flags, faults, signals."""

import re
import signal
import socket
import subprocess
import threading

import grpc
import pytest

from harness import BINARIES, Caller, Process, appointment_fields, new_id, patient_fields

SERVICES = ["patient-service", "appointment-service"]


def run(*arguments, **more):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=60, **more)


@pytest.mark.parametrize("name", SERVICES)
def test_help_names_every_flag(name):
    done = run(BINARIES / name, "serve", "--help")
    assert done.returncode == 0
    for flag in ("--listen", "--tls-cert", "--tls-key", "--client-ca", "--jwks", "--data-dir", "--store", "--environment",
                 "--default-time-zone", "--development", "--plaintext", "--development-clock-file"):
        assert flag in done.stdout, flag


@pytest.mark.parametrize("name", SERVICES)
def test_a_wrong_flag_is_refused(name):
    done = run(BINARIES / name, "serve", "--listne", "127.0.0.1:1")
    assert done.returncode != 0 and "--listne" in done.stderr


def one_sentence(text: str) -> bool:
    return len([line for line in text.strip().splitlines() if line.startswith("error:") or line.startswith("Error:")]) == 1


def test_a_taken_port_is_one_clear_sentence(tmp_path, keys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = Process("patient-service", keys, tmp_path / "data", port=taken.getsockname()[1])
        process.data.mkdir()
        done = run(*process.command())
    assert done.returncode != 0 and one_sentence(done.stderr) and str(process.port) in done.stderr, done.stderr


@pytest.mark.parametrize("flag", ["--tls-cert", "--tls-key", "--client-ca", "--jwks"])
def test_a_missing_file_is_one_clear_sentence(tmp_path, keys, flag):
    process = Process("patient-service", keys, tmp_path / "data")
    command = process.command()
    command[command.index(flag) + 1] = str(tmp_path / "nothing-here")
    done = run(*command)
    assert done.returncode != 0 and one_sentence(done.stderr) and "nothing-here" in done.stderr, done.stderr


def test_a_data_directory_that_cannot_be_made_is_one_clear_sentence(tmp_path, keys):
    (tmp_path / "file").write_text("not a directory")
    process = Process("patient-service", keys, tmp_path / "file" / "data")
    done = run(*process.command())
    assert done.returncode != 0 and one_sentence(done.stderr) and str(tmp_path / "file") in done.stderr, done.stderr


def test_a_second_process_on_the_same_store_is_refused(cluster):
    command = cluster.patient.command()
    command[command.index("--listen") + 1] = "127.0.0.1:0"
    done = run(*command)
    assert done.returncode != 0 and one_sentence(done.stderr), done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_service_cleanly(tmp_path, keys, how):
    process = Process("patient-service", keys, tmp_path / "data").start()
    assert process._end(how) == 0


def test_what_was_written_is_there_after_a_restart_and_a_request_id_still_counts(own_cluster, keys):
    caller = Caller(own_cluster, keys.token("clinician", "clinician-1"))
    patient = caller.patients("CreatePatient", patient=patient_fields()).patient
    request = dict(request_id=new_id(), appointment=appointment_fields(patient.id))
    booked = caller.appointments("CreateAppointment", **request).appointment
    own_cluster.stop()
    own_cluster.start()
    assert caller.patients("GetPatient", patient_id=patient.id).patient == patient
    assert caller.appointments("CreateAppointment", **request).appointment == booked
    caller.close()


def test_calls_under_way_finish_while_a_service_drains(own_cluster, keys):
    caller = Caller(own_cluster, keys.token("clinician", "clinician-1"))
    patient_id = caller.patients("CreatePatient", patient=patient_fields()).patient.id
    started, failures, answered = threading.Event(), [], []

    def read():
        while True:
            try:
                caller.patients("GetPatient", patient_id=patient_id, timeout=5)
                answered.append(1)
                started.set()
            except grpc.RpcError as error:
                failures.append(error.code())
                return

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(30)
    assert own_cluster.patient.stop() == 0
    reader.join()
    caller.close()
    # The last call found nobody to connect to; none was broken off.
    assert set(failures) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED} and answered


def test_logs_hold_no_personal_data_and_no_token(own_cluster, keys):
    token = keys.token("clinician", "clinician-1")
    caller = Caller(own_cluster, token)
    patient = caller.patients("CreatePatient", patient=patient_fields(
        first_name="Zzyzx", last_name="Qwertzuiop", email="zz@secret.example")).patient
    caller.appointments("CreateAppointment", appointment=appointment_fields(patient.id, notes="hypochondria"))
    caller.close()
    own_cluster.stop()
    for process in (own_cluster.patient, own_cluster.appointment):
        text = process.log.read_text()
        assert re.search("CreatePatient|CreateAppointment", text), "one line a call"
        for secret in ("Zzyzx", "Qwertzuiop", "zz@secret", "hypochondria", token, patient.mrn, "416 555"):
            assert secret not in text
