"""Sixteen clients change three calendars at random; afterwards an independent sweep over the answers finds no overlap,
no acknowledged write missing, and every history complete (DOMAIN 4, 5, 8). The same with kill -9 in the middle.
"""

import datetime as dt
import os
import random
import subprocess
import threading

import pytest

from calendar_sweep import Calendar
from clinic_traffic import DATES, Client, Ledger
from harness import BINARIES, Caller, patient_fields, refusal

CLIENTS, CLINICIANS, LEAST = 16, 3, 12
SECONDS = float(os.environ.get("CLINICAVOICE_MIXED_SECONDS", "4"))
SEED = int(os.environ.get("CLINICAVOICE_MIXED_SEED", "1"))


def open_ledger(cluster, keys, name) -> Ledger:
    token = keys.token("clinician", name)
    caller = Caller(cluster, token)
    patient = caller.patients("CreatePatient", patient=patient_fields()).patient
    caller.close()
    return Ledger(name, token, patient.id)


def traffic(cluster, ledgers, killed: bool):
    """Lets the clients work for SECONDS; in the middle, appointment-service may be killed and started again."""
    stop = threading.Event()
    clients = [
        Client(f"client-{n}", cluster, ledgers[n % CLINICIANS], SEED * 1000 + n, stop, LEAST) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    stop.wait(SECONDS / 2)
    if killed:
        cluster.appointment.kill()
        cluster.appointment.start()
    stop.wait(SECONDS / 2)
    stop.set()
    for client in clients:
        client.join()


def probe(caller, ledger, calendar, chance):
    """The service decides as the sweep does: what is free can be booked, what is taken cannot."""
    starts = [dt.datetime.fromisoformat(f"{date}T{minute // 60:02}:{minute % 60:02}:00+00:00")
              for date in DATES for minute in range(0, 1440, 15)]
    chance.shuffle(starts)
    wanted = {True: 12, False: 12}
    for start in starts:
        free = calendar.is_free(start, 15)
        if wanted[free] == 0:
            continue
        wanted[free] -= 1
        fields = dict(patient_id=ledger.patient_id, type="APPOINTMENT_TYPE_URGENT", duration=15, time_zone="UTC",
                      date=f"{start:%Y-%m-%d}", time=f"{start:%H:%M}")
        if free:
            caller.appointments("CreateAppointment", appointment=fields, validate_only=True)
        else:
            told = refusal(caller.appointments, "CreateAppointment", appointment=fields, validate_only=True)
            assert told.reason == "SLOT_CONFLICT", start
    assert wanted[False] == 0, "the calendar is too empty to say something"


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "killed in the middle"])
def test_no_overlap_and_nothing_missing_after_mixed_operations(own_cluster, keys, killed):
    ledgers = [open_ledger(own_cluster, keys, f"clinician-{n}") for n in range(CLINICIANS)]
    traffic(own_cluster, ledgers, killed)
    assert [fault for ledger in ledgers for fault in ledger.faults] == []
    if killed:
        assert sum(ledger.repeated for ledger in ledgers) > 0, "the kill interrupted nothing"
    for ledger in ledgers:
        caller = Caller(own_cluster, ledger.token)
        live = {block.id for block in ledger.blocks} - ledger.deleted_blocks
        calendar = Calendar.read(caller, live)
        assert calendar.faults() == [], ledger.clinician
        assert calendar.missing(ledger) == [], ledger.clinician
        probe(caller, ledger, calendar, random.Random(SEED))
        caller.close()
    done = {}
    for ledger in ledgers:
        for operation, times in ledger.operations.items():
            done[operation] = done.get(operation, 0) + times
    print(f"acknowledged: {done}, repeated: {sum(ledger.repeated for ledger in ledgers)}")
    assert {"create", "batch", "reschedule", "cancel", "reinstate", "notes", "block"} <= set(done)

    own_cluster.stop()
    for process in (own_cluster.patient, own_cluster.appointment):
        checked = subprocess.run(
            [BINARIES / process.name, "verify", "--data-dir", process.data, "--environment", "test",
             "--store-key-file", keys.directory / "store.key"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
