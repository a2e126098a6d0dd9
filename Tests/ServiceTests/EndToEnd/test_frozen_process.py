"""A process that is stopped and goes on (SIGSTOP, a paused machine): its connections stay open, and nothing is answered."""

import concurrent.futures
import contextlib
import os
import signal

import grpc
from google.rpc import error_details_pb2

from harness import Caller, appointment_fields, new_id, patient_fields, refusal

BOOKINGS = 32


@contextlib.contextmanager
def frozen(process):
    """Stops the process; it goes on at the end of the block."""
    pid = process.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_frozen_patient_service_fails_bookings_only_and_leaves_nothing_behind(own_cluster, keys):
    caller = Caller(own_cluster, keys.token("clinician", "clinician-1"))
    patient_id = caller.patients("CreatePatient", patient=patient_fields()).patient.id
    booked = caller.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    request = dict(request_id=new_id(), appointment=appointment_fields(patient_id, time="11:00"))
    with frozen(own_cluster.patient):
        # The caller has no hurry: it is the service's own budget that ends the wait.
        found = refusal(caller.appointments, "CreateAppointment", timeout=60, **request)
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "PATIENT_SERVICE_UNAVAILABLE")
        assert found.detail(error_details_pb2.RetryInfo)
        # With less time of its own, that is what it is told.
        found = refusal(caller.appointments, "CreateAppointment", timeout=0.5, **request)
        assert found.code == grpc.StatusCode.DEADLINE_EXCEEDED
        # What needs no patient goes on.
        cancelled = caller.appointments(
            "UpdateAppointmentStatus", appointment_id=booked.id, status="APPOINTMENT_STATUS_CANCELLED", reason="moved")
        assert cancelled.appointment.etag != booked.etag
    appointment = caller.appointments("CreateAppointment", **request).appointment
    assert caller.appointments("CreateAppointment", **request).appointment == appointment
    caller.close()


def test_bookings_that_a_frozen_appointment_service_held_are_made_once_or_not_at_all(own_cluster, keys):
    caller = Caller(own_cluster, keys.token("clinician", "clinician-1"))
    patient_id = caller.patients("CreatePatient", patient=patient_fields()).patient.id
    caller.appointments("CreateAppointment", appointment=appointment_fields(patient_id))  # connected, on all ways
    # Two for each slot, each with a request_id.
    requests = [
        dict(request_id=new_id(), appointment=appointment_fields(patient_id, date=f"2032-02-{index // 2 + 1:02}"))
        for index in range(BOOKINGS)]

    def book(request, timeout):
        return caller.appointments("CreateAppointment", timeout=timeout, **request).appointment

    with concurrent.futures.ThreadPoolExecutor(BOOKINGS) as pool:
        with frozen(own_cluster.appointment):
            given_up = list(pool.map(lambda request: refusal(book, request, 1).code, requests))
        assert set(given_up) == {grpc.StatusCode.DEADLINE_EXCEEDED}

        def outcome(request):
            try:
                return book(request, 60)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
                return None

        outcomes = list(pool.map(outcome, requests))
        assert [sum(o is not None for o in pair) for pair in zip(outcomes[::2], outcomes[1::2])] == [1] * (BOOKINGS // 2)
        # Said again, each is answered as before.
        assert list(pool.map(outcome, requests)) == outcomes
    caller.close()
