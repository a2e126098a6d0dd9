"""Backups and restores of the real executables: any instant, nothing overwritten, nothing lost (S148-S161, DESIGN 6)."""

import datetime
import pathlib
import re
import signal
import subprocess

import grpc
import pytest

from test_encryption import write_secrets
from harness import BINARIES, Caller, Cluster, Process, appointment_fields, patient_fields, refusal


def run(process, command, *arguments):
    """A command of the service on its store's keys."""
    key = process.keys.directory / "store.key"
    return subprocess.run(
        [str(part) for part in (BINARIES / process.name, *command.split(), *arguments, "--store-key-file", key)],
        capture_output=True, text=True, timeout=120)


def backups(process) -> pathlib.Path:
    return process.data.parent / f"{process.data.name}-backups"


@pytest.fixture
def archived(tmp_path, keys):
    """A pair whose stores are archived."""
    cluster = Cluster(tmp_path, keys)
    for process in (cluster.patient, cluster.appointment):
        process.more += ("--backup-dir", str(backups(process)))
    cluster.start()
    yield cluster
    cluster.stop()


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def restored(process, instant, name, *more):
    into = process.data.parent / name
    done = run(process, "restore", "--backup-dir", backups(process), "--to", instant, "--into", into,
               "--environment", "test", *more)
    return into, done


def test_both_services_go_on_from_an_instant_that_was_restored(archived, keys):
    caller = Caller(archived, keys.token("clinician", "clinician-1"))
    kept = caller.patients("CreatePatient", patient=patient_fields()).patient
    booked = caller.appointments("CreateAppointment", appointment=appointment_fields(kept.id)).appointment
    instant = now()
    caller.appointments("UpdateAppointmentStatus", appointment_id=booked.id, status="APPOINTMENT_STATUS_CANCELLED",
                        reason="a mistake")
    lost = caller.patients("CreatePatient", patient=patient_fields(first_name="Later")).patient
    archived.stop()
    for process in (archived.patient, archived.appointment):
        into, done = restored(process, instant, f"{process.data.name}-restored")
        assert done.returncode == 0, done.stderr
        assert "all is well" in done.stdout and "note:" not in done.stderr
        process.data = into
    archived.start()
    again = Caller(archived, keys.token("clinician", "clinician-1"))
    assert again.patients("GetPatient", patient_id=kept.id).patient == kept
    assert again.appointments("GetAppointment", appointment_id=booked.id).appointment == booked
    assert refusal(again.patients, "GetPatient", patient_id=lost.id).code == grpc.StatusCode.NOT_FOUND
    # Its slot is taken again, as it was then.
    taken = refusal(again.appointments, "CreateAppointment", appointment=appointment_fields(kept.id))
    assert taken.reason == "SLOT_CONFLICT"
    listed = run(archived.patient, "backup list", "--backup-dir", archived.patient.data.parent / "patient-backups")
    assert listed.returncode == 0 and len(re.findall("^history ", listed.stdout, re.M)) == 2, listed.stdout
    caller.close()
    again.close()


def test_no_personal_data_is_readable_in_stores_and_backups(archived, keys):
    needles = write_secrets(archived, keys)
    processes = (archived.patient, archived.appointment)

    def found():
        files = [path for process in processes for path in process.data.parent.rglob("*")
                 if path.is_file() and path.suffix != ".log"]
        assert len(files) >= 10
        return [(path.name, needle) for path in files for needle in needles if needle in path.read_bytes()]

    for process in processes:
        assert run(process, "backup", "--data-dir", process.data, "--backup-dir", backups(process)).returncode == 0
    assert found() == []
    archived.stop()
    assert found() == []
    for process in processes:
        assert restored(process, now(), f"{process.data.name}-restored")[1].returncode == 0
        process.data = process.data.parent / f"{process.data.name}-restored"
    assert found() == []


def test_a_backup_of_a_running_service_is_kept_and_restores_as_it_was(archived, keys):
    process = archived.patient
    caller = Caller(archived, keys.token("clinician", "clinician-1"))
    patient = caller.patients("CreatePatient", patient=patient_fields()).patient
    taken = run(process, "backup", "--data-dir", process.data, "--backup-dir", backups(process))
    assert taken.returncode == 0, taken.stderr
    instant = re.search(r"--to (\S+)", taken.stdout)[1]
    caller.patients("UpdatePatient", patient={"id": patient.id, "first_name": "Other"},
                    update_mask={"paths": ["first_name"]})
    listed = run(process, "backup list", "--backup-dir", backups(process))
    assert f"{instant}  snapshot (manual, kept)" in listed.stdout and "under key 1" in listed.stdout
    # While the service runs: every snapshot and every archived transaction.
    checked = run(process, "verify", "--backup-dir", backups(process))
    assert checked.returncode == 0 and "all is well" in checked.stdout, checked.stdout + checked.stderr
    into, done = restored(process, instant, "restored")
    assert done.returncode == 0, done.stderr
    other = Process("patient-service", keys, into).start()
    with other.channel() as channel:
        caller._patients = type(caller._patients)(channel)
        assert caller.patients("GetPatient", patient_id=patient.id).patient == patient
    other.stop()
    caller.close()


def test_an_archive_survives_a_kill_and_agrees_with_its_store(archived, keys):
    process = archived.patient
    for round in range(3):
        caller = Caller(archived, keys.token("clinician", "clinician-1"))
        created = [caller.patients("CreatePatient", patient=patient_fields()).patient.id for _ in range(20)]
        caller.close()
        process.kill()
        process.start()
    process.stop()
    checked = run(process, "verify", "--data-dir", process.data, "--backup-dir", backups(process), "--environment", "test")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    into, done = restored(process, now(), "restored")
    assert done.returncode == 0 and "nothing later than transaction" in done.stderr
    process.data = into
    process.start()
    caller = Caller(archived, keys.token("clinician", "clinician-1"))
    found = caller.patients("BatchGetPatients", patient_ids=created).patients
    assert [patient.id for patient in found] == created
    caller.close()


def test_what_cannot_be_restored_is_told_in_one_sentence(archived, tmp_path):
    process = archived.patient
    archived.stop()
    old = restored(process, "2001-01-01T00:00:00Z", "old")[1]
    assert old.returncode == 78 and "The oldest state that can be restored is of 20" in old.stderr
    word = restored(process, "yesterday", "word")[1]
    assert word.returncode == 78 and "is not an instant such as" in word.stderr
    there = restored(process, now(), process.data.name)[1]
    assert there.returncode == 78 and "never overwrites" in there.stderr
    nowhere = run(process, "restore", "--backup-dir", tmp_path / "nowhere", "--to", now(), "--into", tmp_path / "x")
    assert nowhere.returncode == 78 and "does not exist" in nowhere.stderr
    unknown = restored(process, now(), "y", "--history", "0-1")[1]
    assert unknown.returncode == 78 and "There is no history 0-1" in unknown.stderr
    for done in (old, word, there, nowhere, unknown):
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: "), done.stderr
    assert sorted(path.name for path in process.data.parent.iterdir() if "restor" in path.name) == []


def test_a_service_does_not_start_where_its_backups_would_be_no_good(tmp_path, keys):
    process = Process("patient-service", keys, tmp_path / "patient")

    def started(*more, drop=()):
        command = [part for part in process.command() if part not in drop] + [str(part) for part in more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    inside = started("--backup-dir", process.data / "backups")
    assert inside.returncode == 78 and "inside the store's own" in inside.stderr
    clear = started("--backup-dir", tmp_path / "b", drop=("--store-key-file", str(keys.directory / "store.key")))
    assert clear.returncode == 78 and "only encrypted stores have backups" in clear.stderr
    file = tmp_path / "file"
    file.write_text("")
    assert started("--backup-dir", file).returncode == 78
    assert started("--snapshot-interval", "1d").returncode == 78


def test_damage_in_a_backup_is_found_and_told(archived, keys):
    process = archived.patient
    caller = Caller(archived, keys.token("clinician", "clinician-1"))
    caller.patients("CreatePatient", patient=patient_fields())
    caller.close()
    archived.stop()
    segment = next(backups(process).rglob("*.segment"))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    checked = run(process, "verify", "--backup-dir", backups(process))
    assert checked.returncode == 65 and str(segment) in checked.stderr
    damaged = restored(process, now(), "damaged")[1]
    assert damaged.returncode == 65 and "can be restored" in damaged.stderr


def test_a_restore_that_is_interrupted_leaves_nothing(archived, keys):
    process = archived.patient
    archived.stop()
    into = process.data.parent / "interrupted"
    command = [str(part) for part in (
        BINARIES / process.name, "restore", "--backup-dir", backups(process), "--to", now(), "--into", into,
        "--environment", "test", "--store-key-file", keys.directory / "store.key")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    # Whenever the signal came: before it was heard, in the middle, or at the end.
    names = {path.name for path in into.parent.iterdir() if path.name.startswith("interrupted")}
    assert names == ({"interrupted"} if running.returncode == 0 else set())
