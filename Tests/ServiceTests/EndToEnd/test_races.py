"""One slot, many callers (DOMAIN 4, Atomicity)."""

import concurrent.futures
import os
import threading

import grpc

from harness import appointment_fields, new_id, patient_fields, refusal

CLIENTS = 50
ROUNDS = int(os.environ.get("CLINICAVOICE_RACE_ROUNDS", "20"))


def test_fifty_clients_one_slot_exactly_one_wins_each_round(cluster, caller_of):
    name = f"clinician-{new_id()}"
    callers = [caller_of(cluster, "clinician", name) for _ in range(CLIENTS)]
    patient_id = callers[0].patients("CreatePatient", patient=patient_fields()).patient.id
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for round_number in range(ROUNDS):
            start = threading.Barrier(CLIENTS)

            def book(caller):
                start.wait()
                fields = appointment_fields(patient_id, date=f"2032-01-{round_number + 1:02}")
                try:
                    return caller.appointments("CreateAppointment", timeout=60, appointment=fields).appointment.id
                except grpc.RpcError as error:
                    def again():
                        raise error
                    return refusal(again)

            outcomes = list(pool.map(book, callers))
            winners = [outcome for outcome in outcomes if isinstance(outcome, str)]
            assert len(winners) == 1, f"round {round_number}: {len(winners)} callers won"
            losers = {(o.code, o.reason) for o in outcomes if not isinstance(o, str)}
            assert losers == {(grpc.StatusCode.FAILED_PRECONDITION, "SLOT_CONFLICT")}, f"round {round_number}"


def test_one_request_id_from_many_callers_books_once(cluster, caller_of):
    name, request_id = f"clinician-{new_id()}", new_id()
    callers = [caller_of(cluster, "clinician", name) for _ in range(16)]
    patient_id = callers[0].patients("CreatePatient", patient=patient_fields()).patient.id
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda caller: caller.appointments(
            "CreateAppointment", request_id=request_id, appointment=appointment_fields(patient_id)).appointment.id, callers))
    assert len(set(answers)) == 1


def test_one_request_id_from_many_callers_registers_once(cluster, caller_of):
    name, request_id = f"clinician-{new_id()}", new_id()
    callers = [caller_of(cluster, "clinician", name) for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda caller: caller.patients(
            "CreatePatient", request_id=request_id, patient=patient_fields()).patient.mrn, callers))
    assert len(set(answers)) == 1
