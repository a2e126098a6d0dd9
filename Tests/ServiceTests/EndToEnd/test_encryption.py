"""Nothing that a patient or a caller told us is readable on the disk (S6, DESIGN 6)."""

import subprocess

from harness import Caller, appointment_fields, patient_fields

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
