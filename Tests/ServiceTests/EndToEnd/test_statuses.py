"""The form of every status: a reason and a domain, and a correlation id to ask about it (DOMAIN 10)."""

import grpc
import pytest

from harness import appointment_fields, new_id, refusal

SERVICES = {
    "patient": "clinicavoice.patient.v1.PatientService",
    "appointment": "clinicavoice.appointment.v1.AppointmentService",
}


def raw(channel: grpc.Channel, path: str):
    """A unary call that knows no message types."""
    return channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)


@pytest.mark.parametrize("name", SERVICES)
def test_an_unknown_method_has_a_reason_too(cluster, name):
    with getattr(cluster, name).channel() as channel:
        found = refusal(raw(channel, f"/{SERVICES[name]}/NoSuchMethod"), b"", timeout=10)
    assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")
    assert found.domain == f"{name}.clinicavoice"


def test_a_call_without_a_handler_has_its_line_in_the_log_and_its_correlation_id(cluster):
    """W6, W9: what the runtime refuses by itself is a call like any other to whoever reads the log."""
    ids = {name: new_id() for name in ("NoSuchMethod", "GetPatient")}
    with cluster.patient.channel() as channel:
        for method, correlation_id in ids.items():
            found = refusal(
                raw(channel, f"/{SERVICES['patient']}/{method}"), b"", timeout=10,
                metadata=[("x-correlation-id", correlation_id)])
            assert found.trailers["x-correlation-id"] == correlation_id
    lines = [line for line in cluster.patient.log.read_text().splitlines() if ids["NoSuchMethod"] in line]
    assert len(lines) == 1 and "NoSuchMethod" in lines[0] and "UNIMPLEMENTED" in lines[0]


@pytest.mark.parametrize("name", SERVICES)
def test_a_request_that_is_no_message_has_a_reason_too(cluster, keys, name):
    path = f"/{SERVICES[name]}/{'GetPatient' if name == 'patient' else 'GetAppointment'}"
    metadata = [("authorization", f"Bearer {keys.token('clinician', 'clinician-1')}")]
    with getattr(cluster, name).channel() as channel:
        found = refusal(raw(channel, path), b"\xff", timeout=10, metadata=metadata)
    assert (found.code, found.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


def test_the_callers_correlation_id_comes_back_with_a_refusal(clinician):
    found = refusal(clinician.patients, "GetPatient", patient_id=new_id(), metadata=[("x-correlation-id", "job-7")])
    assert found.trailers["x-correlation-id"] == "job-7"


def test_a_call_without_a_correlation_id_is_given_one(cluster):
    with cluster.patient.channel() as channel:
        call = raw(channel, "/grpc.health.v1.Health/Check")
        _, first = call.with_call(b"", timeout=10)
        _, second = call.with_call(b"", timeout=10, metadata=[("x-correlation-id", "not one of ours")])
    ids = {dict(c.trailing_metadata())["x-correlation-id"] for c in (first, second)}
    assert len(ids) == 2 and all(len(i) == 36 for i in ids)


def test_both_services_log_one_call_under_one_correlation_id(cluster, clinician):
    correlation_id = new_id()
    refusal(clinician.appointments, "CreateAppointment", appointment=appointment_fields(new_id()),
            metadata=[("x-correlation-id", correlation_id)])
    for process, method in ((cluster.patient, "ValidatePatientReferences"), (cluster.appointment, "CreateAppointment")):
        lines = [line for line in process.log.read_text().splitlines() if correlation_id in line]
        assert len(lines) == 1 and method in lines[0]
