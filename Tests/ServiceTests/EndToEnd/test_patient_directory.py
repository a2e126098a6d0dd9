"""PatientService down, slow or wrong gives what DOMAIN 9 says, and nothing is written."""

import concurrent.futures
import threading

import grpc
import pytest
from google.rpc import error_details_pb2

from clinicavoice.patient.v1 import patient_service_pb2_grpc
from harness import Caller, Process, appointment_fields, free_port, message, new_id, refusal

Response = message("patient.v1.ValidatePatientReferencesResponse")


class PatientServicePeer(patient_service_pb2_grpc.PatientServiceServicer):
    """grpcio in place of PatientService, with its certificate; does what a test tells it to."""

    def __init__(self, keys):
        self.port = free_port()
        self.behave = None
        self.calls = []
        self.released = threading.Event()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
        patient_service_pb2_grpc.add_PatientServiceServicer_to_server(self, self.server)
        directory = keys.directory
        pair = ((directory / "patient-service.key").read_bytes(), (directory / "patient-service.pem").read_bytes())
        credentials = grpc.ssl_server_credentials([pair], keys.ca, require_client_auth=True)
        self.server.add_secure_port(f"localhost:{self.port}", credentials)
        self.server.start()

    def ValidatePatientReferences(self, request, context):  # noqa: N802, the name of the RPC
        self.calls.append((dict(context.invocation_metadata()), context.auth_context(), context.time_remaining()))
        return self.behave(request, context)

    def stop(self):
        self.released.set()
        self.server.stop(None).wait()


def active(request, context):
    return Response(results=[
        dict(reference=reference, exists=True, status="PATIENT_STATUS_ACTIVE", version=1) for reference in request.references])


def inactive(request, context):
    answer = active(request, context)
    for result in answer.results:
        result.status = 2
    return answer


def aborts(code, text="upstream text that must not leak"):
    return lambda request, context: context.abort(code, text)


@pytest.fixture
def peer(keys):
    peer = PatientServicePeer(keys)
    yield peer
    peer.stop()


@pytest.fixture
def booking(tmp_path, keys, peer):
    """An appointment-service that dials the peer, and a way to book there."""
    process = Process("appointment-service", keys, tmp_path / "appointment", more=(
        "--patient-service-target", f"dns:localhost:{peer.port}", "--patient-service-ca", f"{keys.directory}/ca.pem")).start()

    class Cluster:
        patient = appointment = process

    caller = Caller(Cluster, keys.token("clinician", "clinician-1"))
    patient_id = new_id()
    request = dict(request_id=new_id(), appointment=appointment_fields(patient_id))

    def book(timeout=30):
        return caller.appointments("CreateAppointment", timeout=timeout, **request).appointment

    yield book
    caller.close()
    process.stop()


def assert_nothing_was_written(peer, booking):
    """The same request books now, for the first time: neither a row, nor an idempotency record was there."""
    peer.behave = active
    booked = booking()
    assert booked.etag == '"1"' and len(booked.status_history) == 1


def slow(peer):
    def answer(request, context):
        peer.released.wait(20)
        return active(request, context)
    return answer


def garbage(request, context):
    # Another patient than the one asked for.
    return Response(results=[
        dict(reference=dict(patient_id=new_id(), user_id="x"), exists=True, status="PATIENT_STATUS_ACTIVE", version=1)])


CASES = {
    "inactive": (inactive, grpc.StatusCode.FAILED_PRECONDITION, "PATIENT_INACTIVE"),
    "unavailable": (aborts(grpc.StatusCode.UNAVAILABLE), grpc.StatusCode.UNAVAILABLE, "PATIENT_SERVICE_UNAVAILABLE"),
    "exhausted": (aborts(grpc.StatusCode.RESOURCE_EXHAUSTED), grpc.StatusCode.UNAVAILABLE, "PATIENT_SERVICE_UNAVAILABLE"),
    "unauthenticated": (aborts(grpc.StatusCode.UNAUTHENTICATED), grpc.StatusCode.INTERNAL, "INTERNAL"),
    "denied": (aborts(grpc.StatusCode.PERMISSION_DENIED), grpc.StatusCode.INTERNAL, "INTERNAL"),
    "internal": (aborts(grpc.StatusCode.INTERNAL), grpc.StatusCode.INTERNAL, "INTERNAL"),
    "wrong answer": (garbage, grpc.StatusCode.INTERNAL, "INTERNAL"),
    "empty answer": (lambda r, c: Response(), grpc.StatusCode.INTERNAL, "INTERNAL"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_peer_says_is_translated_and_nothing_is_written(peer, booking, case):
    peer.behave, code, reason = CASES[case]
    found = refusal(booking)
    assert (found.code, found.reason, found.domain) == (code, reason, "appointment.clinicavoice")
    assert "upstream text" not in str(found)
    if code == grpc.StatusCode.UNAVAILABLE:
        assert found.detail(error_details_pb2.RetryInfo) is not None
    assert_nothing_was_written(peer, booking)


def test_a_slow_peer_is_given_up_within_our_budget(peer, booking):
    peer.behave = slow(peer)
    found = refusal(booking)
    assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "PATIENT_SERVICE_UNAVAILABLE")
    assert all(remaining <= 2 for _, _, remaining in peer.calls)
    assert_nothing_was_written(peer, booking)


def test_a_caller_whose_time_is_over_gets_deadline_exceeded(peer, booking):
    peer.behave = slow(peer)
    assert refusal(booking, timeout=0.5).code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert_nothing_was_written(peer, booking)


def test_a_peer_that_is_down_is_unavailable(peer, booking, keys):
    peer.stop()
    found = refusal(booking)
    assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "PATIENT_SERVICE_UNAVAILABLE")


def test_the_caller_and_the_service_are_both_told_to_the_peer(peer, booking):
    peer.behave = active
    booking()
    metadata, identity, remaining = peer.calls[0]
    assert metadata["x-clinicavoice-on-behalf-of"].count(".") == 2
    assert any(b"appointment-service" in value for values in identity.values() for value in values)
    assert 0 < remaining <= 2


def test_unavailable_is_tried_again_inside_the_same_call(peer, booking):
    refusals = iter([aborts(grpc.StatusCode.UNAVAILABLE)] * 2)
    peer.behave = lambda request, context: next(refusals, active)(request, context)
    assert booking().etag == '"1"'
    assert len(peer.calls) == 3
