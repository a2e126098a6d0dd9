"""Nothing that a patient or a caller told us is readable on the disk (S6, DESIGN 6)."""

import fcntl
import signal
import subprocess
import threading
import time

import pytest

from harness import BINARIES, START_SECONDS, Caller, Cluster, Keys, appointment_fields, patient_fields

SECRETS = ["Zzyzxova", "Qwertzuiopova", "zz@secret.example", "hypochondria", "+1 416 555 9876"]


def write_secrets(cluster, keys) -> list[bytes]:
    token = keys.token("clinician", "clinician-1")
    caller = Caller(cluster, token)
    first, last, email, notes, phone = SECRETS
    patient = caller.patients(
        "CreatePatient", patient=patient_fields(first_name=first, last_name=last, email=email, phone=phone)).patient
    caller.appointments("CreateAppointment", appointment=appointment_fields(patient.id, notes=notes))
    caller.close()
    return [text.encode() for text in [*SECRETS, patient.mrn, patient.id, token]]


def found_on_disk(cluster, needles) -> list[tuple]:
    files = [path for process in (cluster.patient, cluster.appointment) for path in process.data.rglob("*") if path.is_file()]
    assert len(files) >= 2
    return [(path.name, needle) for path in files for needle in needles if needle in path.read_bytes()]


def test_no_personal_data_is_readable_under_the_data_directories(own_cluster, keys):
    needles = write_secrets(own_cluster, keys)
    assert found_on_disk(own_cluster, needles) == []  # the log of the running stores included
    own_cluster.stop()
    assert found_on_disk(own_cluster, needles) == []


def started_with(process, *change) -> subprocess.CompletedProcess:
    command = process.command()
    at = command.index("--store-key-file")
    command[at : at + 2] = change
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_wrong_key_is_refused_in_one_sentence(own_cluster, keys, tmp_path):
    own_cluster.stop()
    wrong = tmp_path / "wrong.key"
    wrong.write_text("1:" + "ab" * 32 + "\n")
    wrong.chmod(0o600)
    done = started_with(own_cluster.patient, "--store-key-file", str(wrong))
    assert done.returncode != 0 and "key" in done.stderr and "abab" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.lower().startswith("error:")]) == 1, done.stderr


def test_a_key_file_that_others_can_read_is_refused(own_cluster, keys, tmp_path):
    own_cluster.stop()
    loose = tmp_path / "loose.key"
    loose.write_bytes((keys.directory / "store.key").read_bytes())
    loose.chmod(0o644)
    done = started_with(own_cluster.patient, "--store-key-file", str(loose))
    assert done.returncode != 0 and "0600" in done.stderr


def test_an_encrypted_store_does_not_open_without_its_keys(own_cluster):
    own_cluster.stop()
    done = started_with(own_cluster.patient)
    assert done.returncode != 0 and "key" in done.stderr


def test_production_does_not_start_without_keys(own_cluster):
    own_cluster.stop()
    command = [part for part in own_cluster.patient.command() if part != "--development"]
    at = command.index("--store-key-file")
    del command[at : at + 2]
    command += ["--jwt-issuer", "https://issuer.example", "--jwt-audience", "clinic"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78 and "--store-key-file" in done.stderr


# --- a new key ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rekeyed_cluster(tmp_path):
    """A pair with keys of its own, since the test changes them."""
    directory = tmp_path / "keys"
    directory.mkdir()
    cluster = Cluster(tmp_path, Keys(directory)).start()
    yield cluster
    cluster.stop()


def key_line(key_id: int) -> str:
    return f"{key_id}:" + f"{key_id:02x}" * 32 + "\n"


def append_key(cluster, key_id: int):
    with (cluster.keys.directory / "store.key").open("a") as file:
        file.write(key_line(key_id))


def rekey_command(process) -> list:
    return [BINARIES / process.name, "rekey", "--data-dir", process.data,
            "--store-key-file", process.keys.directory / "store.key"]


def rekey(process) -> subprocess.CompletedProcess:
    return subprocess.run(rekey_command(process), capture_output=True, text=True, timeout=120)


def hang_up(process, expected: str) -> str:
    """Sends SIGHUP and waits for a new line of the log with these words."""
    start = process.log.stat().st_size
    process.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in process.log.read_bytes()[start:].decode().splitlines():
            if expected in line:
                return line
        time.sleep(0.02)
    raise AssertionError(f"{process.name} does not say '{expected}':\n{process.log_tail()}")


def both(cluster) -> tuple:
    return cluster.patient, cluster.appointment


def test_a_stores_key_is_changed_while_clients_write(rekeyed_cluster):
    cluster = rekeyed_cluster
    caller = Caller(cluster, cluster.keys.token("clinician", "clinician-1"))
    made = [caller.patients("CreatePatient", patient=patient_fields()).patient for _ in range(20)]
    booked = caller.appointments("CreateAppointment", appointment=appointment_fields(made[0].id)).appointment

    append_key(cluster, 2)
    for process in both(cluster):
        done = rekey(process)
        assert done.returncode == 69 and "key 2" in done.stderr and "SIGHUP" in done.stderr, done.stderr
        assert str(process.process.pid) in done.stderr
    for process in both(cluster):
        line = hang_up(process, "read the store's keys again")
        assert "[2]" in line and "0202" not in line

    stop, failures = threading.Event(), []

    def write():
        try:
            while not stop.is_set():
                made.append(caller.patients("CreatePatient", patient=patient_fields()).patient)
        except Exception as error:  # told to the test's own thread
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for process in both(cluster):
            done = rekey(process)
            assert done.returncode == 0, done.stderr
            assert "under key 2; key 1 is no longer needed by this store" in done.stdout
            assert "encrypted anew" in done.stderr and "0202" not in done.stderr + done.stdout
    finally:
        stop.set()
        writer.join()
    assert not failures
    for patient in made:
        assert caller.patients("GetPatient", patient_id=patient.id).patient == patient

    cluster.stop()
    (cluster.keys.directory / "store.key").write_text(key_line(2))
    cluster.start()
    for patient in made:
        assert caller.patients("GetPatient", patient_id=patient.id).patient == patient
    assert caller.appointments("GetAppointment", appointment_id=booked.id).appointment == booked
    caller.close()
    cluster.stop()
    for process in both(cluster):
        verified = subprocess.run(
            [BINARIES / process.name, "verify", "--data-dir", process.data, "--environment", "test",
             "--store-key-file", cluster.keys.directory / "store.key"], capture_output=True, text=True, timeout=120)
        assert verified.returncode == 0, verified.stderr


def test_keys_that_do_not_fit_change_nothing(rekeyed_cluster):
    patient, file = rekeyed_cluster.patient, rekeyed_cluster.keys.directory / "store.key"
    original = file.read_text()
    file.write_text("1:" + "ab" * 32 + "\n" + key_line(2))
    assert "abab" not in hang_up(patient, "the store's keys stay as they were")
    file.write_text("no keys at all\n")
    assert "no keys" not in hang_up(patient, "the store's keys stay as they were")
    file.write_text(original)
    assert "[]" in hang_up(patient, "read the store's keys again")
    caller = Caller(rekeyed_cluster, rekeyed_cluster.keys.token("clinician", "clinician-1"))
    caller.patients("CreatePatient", patient=patient_fields())
    caller.close()
    assert rekey(patient).stdout.endswith("are under key 1\n")


def test_an_interrupted_rekey_is_gone_on_with(rekeyed_cluster):
    patient = rekeyed_cluster.patient
    append_key(rekeyed_cluster, 2)
    hang_up(patient, "read the store's keys again")
    # The lock that keeps checkpoints out, https://www.sqlite.org/walformat.html#wal_locks: the rekey waits for it.
    with (patient.data / "store.sqlite-shm").open("r+b") as shared_memory:
        fcntl.lockf(shared_memory, fcntl.LOCK_EX, 1, 121)
        running = subprocess.Popen(rekey_command(patient), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "anew under key 2" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        assert "stopping" in running.stderr.readline()
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130 and "run it again" in errors
    assert "key 1 is no longer needed" in rekey(patient).stdout
