"""kill -9 loses nothing that was acknowledged (DESIGN 6)."""

import os
import random
import subprocess
import threading

import grpc
import pytest

from harness import BINARIES, Caller, appointment_fields, new_id, patient_fields

WRITERS = 32
KILLS = int(os.environ.get("CLINICAVOICE_KILLS", "5"))


def write_until_killed(cluster, keys, name, seed, stop, acknowledged, lock):
    """Books, or registers, until the service is gone; what was answered is acknowledged."""
    chance = random.Random(seed)
    token = keys.token("clinician", name)
    caller = Caller(cluster, token)
    try:
        patient_id = caller.patients("CreatePatient", patient=patient_fields(), timeout=30).patient.id
        with lock:
            acknowledged.append((name, token, "patient", patient_id))
        while not stop.is_set():
            day, hour = 1 + chance.randrange(28), chance.randrange(24)
            fields = appointment_fields(
                patient_id, date=f"2033-{1 + chance.randrange(12):02}-{day:02}", time=f"{hour:02}:{chance.randrange(60):02}")
            try:
                booked = caller.appointments("CreateAppointment", request_id=new_id(), appointment=fields, timeout=10)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                    continue  # the slot is taken: ours is the one before
                return
            with lock:
                acknowledged.append((name, token, "appointment", booked.appointment.id))
    except grpc.RpcError:
        pass  # killed before the first answer
    finally:
        caller.close()


@pytest.mark.parametrize("seed", range(KILLS))
def test_every_acknowledged_write_survives_a_kill(own_cluster, keys, seed):
    cluster, chance = own_cluster, random.Random(1000 + seed)
    acknowledged, lock, stop = [], threading.Lock(), threading.Event()
    enough = WRITERS * (2 + chance.randrange(8))  # killed after so many answers: progress decides, not time
    writers = [
        threading.Thread(target=write_until_killed, args=(
            cluster, keys, f"clinician-{seed}-{n % 8}", seed * 100 + n, stop, acknowledged, lock))
        for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        with lock:
            if len(acknowledged) >= enough:
                break
        stop.wait(0.01)
    cluster.appointment.kill()
    cluster.patient.kill()
    stop.set()
    for writer in writers:
        writer.join()
    assert len(acknowledged) >= enough

    for process in (cluster.patient, cluster.appointment):
        checked = subprocess.run(
            [BINARIES / process.name, "verify", "--data-dir", process.data, "--environment", "test",
             "--store-key-file", keys.directory / "store.key"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr

    cluster.start()
    callers = {}
    for name, token, kind, identifier in acknowledged:
        caller = callers.setdefault(name, None) or callers.update({name: Caller(cluster, token)}) or callers[name]
        if kind == "patient":
            assert caller.patients("GetPatient", patient_id=identifier).patient.id == identifier
        else:
            assert caller.appointments("GetAppointment", appointment_id=identifier).appointment.id == identifier
    for caller in callers.values():
        caller.close()
