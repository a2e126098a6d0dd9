"""AppointmentService over TLS, called by grpcio with stubs made from proto/."""

import grpc
import pytest
from google.rpc import error_details_pb2

from clinicavoice.appointment.v1 import appointment_pb2
from harness import appointment_fields, message, new_id, patient_fields, refusal


@pytest.fixture
def patient_id(clinician) -> str:
    return clinician.patients("CreatePatient", patient=patient_fields()).patient.id


def status_of(appointment) -> str:
    return appointment_pb2.AppointmentStatus.Name(appointment.status)


def test_a_booking_reads_back_as_it_was_made(clinician, patient_id):
    booked = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    assert (booked.duration, status_of(booked)) == (60, "APPOINTMENT_STATUS_SCHEDULED")
    assert booked.end_time.seconds - booked.start_time.seconds == 3600
    assert clinician.appointments("GetAppointment", appointment_id=booked.id).appointment == booked


def test_a_double_booking_names_what_is_in_the_way_and_offers_other_times(clinician, patient_id):
    booked = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    found = refusal(clinician.appointments, "CreateAppointment",
                    appointment=appointment_fields(patient_id, time="09:45"))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SLOT_CONFLICT")
    violations = found.detail(error_details_pb2.PreconditionFailure).violations
    assert [(v.type, v.subject) for v in violations] == [("APPOINTMENT", booked.id)]
    packed = next(d for d in found.details if getattr(d, "type_url", "").endswith(".SlotConflict"))
    conflict = message("appointment.v1.SlotConflict")()
    assert packed.Unpack(conflict) and len(conflict.suggested_starts) == 3
    assert min(s.start_time.seconds for s in conflict.suggested_starts) >= booked.end_time.seconds


def test_back_to_back_is_no_conflict_on_either_side(clinician, patient_id):
    for time in ("09:00", "10:00", "08:00"):
        clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id, time=time))


def test_an_unknown_patient_is_refused(clinician):
    unknown = new_id()
    found = refusal(clinician.appointments, "CreateAppointment", appointment=appointment_fields(unknown))
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "PATIENT_NOT_FOUND")
    assert found.detail(error_details_pb2.ResourceInfo).resource_name == unknown


def test_another_clinicians_patient_is_refused_in_the_same_words(cluster, caller_of, patient_id):
    other, unknown = caller_of(cluster), new_id()
    foreign = refusal(other.appointments, "CreateAppointment", appointment=appointment_fields(patient_id))
    missing = refusal(other.appointments, "CreateAppointment", appointment=appointment_fields(unknown))
    assert (foreign.code, foreign.message.replace(patient_id, "ID")) == (missing.code, missing.message.replace(unknown, "ID"))
    assert [str(d).replace(patient_id, "ID") for d in foreign.details] == [str(d).replace(unknown, "ID") for d in missing.details]


def test_all_violations_come_at_once(clinician):
    found = refusal(clinician.appointments, "CreateAppointment", appointment=dict(
        patient_id="nobody", date="2031-02-30", time="24:00", duration=20, type="APPOINTMENT_TYPE_UNSPECIFIED",
        time_zone="GMT+5"))
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT
    assert set(found.field_reasons) == {f"appointment.{name}" for name in (
        "patient_id", "date", "time", "duration", "type", "time_zone")}
    assert found.field_reasons["appointment.time_zone"] == "UNKNOWN_TIME_ZONE"


def test_validate_only_writes_nothing(clinician, patient_id):
    for _ in range(2):
        clinician.appointments("CreateAppointment", validate_only=True, appointment=appointment_fields(patient_id))


def test_the_past_is_refused_unless_allowed(clinician, patient_id):
    past = appointment_fields(patient_id, date="2020-01-02")
    found = refusal(clinician.appointments, "CreateAppointment", appointment=past)
    assert found.field_reasons == {"appointment.date": "APPOINTMENT_IN_PAST"}
    clinician.appointments("CreateAppointment", appointment=past, allow_past=True)


def test_a_request_id_books_once(clinician, patient_id):
    request = dict(request_id=new_id(), appointment=appointment_fields(patient_id))
    first = clinician.appointments("CreateAppointment", **request).appointment
    assert clinician.appointments("CreateAppointment", **request).appointment == first


def test_cancelling_frees_the_slot_and_reinstating_needs_it_free(clinician, patient_id):
    def move(appointment, status, **more):
        return clinician.appointments(
            "UpdateAppointmentStatus", appointment_id=appointment.id, status=status, **more).appointment

    first = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    found = refusal(clinician.appointments, "UpdateAppointmentStatus", appointment_id=first.id,
                    status="APPOINTMENT_STATUS_CANCELLED")
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT
    cancelled = move(first, "APPOINTMENT_STATUS_CANCELLED", reason="patient called", etag=first.etag)
    assert cancelled.cancellation_reason == "patient called" and len(cancelled.status_history) == 2
    second = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    found = refusal(clinician.appointments, "UpdateAppointmentStatus", appointment_id=first.id,
                    status="APPOINTMENT_STATUS_SCHEDULED")
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SLOT_CONFLICT")
    move(second, "APPOINTMENT_STATUS_CANCELLED", reason="moved")
    reinstated = move(first, "APPOINTMENT_STATUS_SCHEDULED")
    assert status_of(reinstated) == "APPOINTMENT_STATUS_SCHEDULED" and not reinstated.cancellation_reason
    assert len(reinstated.status_history) == 3


def test_an_illegal_transition_says_what_would_be_legal(clinician, patient_id):
    booked = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    found = refusal(clinician.appointments, "UpdateAppointmentStatus", appointment_id=booked.id,
                    status="APPOINTMENT_STATUS_SCHEDULED")
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATUS_TRANSITION")
    assert set(found.detail(error_details_pb2.ErrorInfo).metadata) >= {"from", "to", "allowed"}


def test_a_stale_etag_changes_nothing(clinician, patient_id):
    booked = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    found = refusal(clinician.appointments, "UpdateAppointmentStatus", appointment_id=booked.id,
                    status="APPOINTMENT_STATUS_CONFIRMED", etag='"7"')
    assert (found.code, found.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert clinician.appointments("GetAppointment", appointment_id=booked.id).appointment == booked


def test_a_time_that_the_clocks_skip_is_refused_with_the_next_that_exists(clinician, patient_id):
    found = refusal(clinician.appointments, "CreateAppointment", appointment=appointment_fields(
        patient_id, date="2031-03-09", time="02:30", time_zone="America/New_York"))
    assert found.field_reasons == {"appointment.time": "NONEXISTENT_LOCAL_TIME"}


def test_a_foreign_appointment_looks_exactly_like_an_unknown_one(cluster, caller_of, clinician, patient_id):
    booked = clinician.appointments("CreateAppointment", appointment=appointment_fields(patient_id)).appointment
    other, unknown = caller_of(cluster), new_id()
    texts = []
    for identifier in (booked.id, unknown):
        found = refusal(other.appointments, "GetAppointment", appointment_id=identifier)
        texts.append(repr((found.code, found.message, [str(d) for d in found.details])).replace(identifier, "ID"))
    assert texts[0] == texts[1] and "APPOINTMENT_NOT_FOUND" in texts[0]


def test_a_recurring_block_refuses_a_booking_and_the_other_way_round(clinician, patient_id):
    lunch = dict(date="2031-03-10", start_time="12:00", end_time="13:00", reason="lunch", type="TIME_BLOCK_TYPE_BREAK",
                 recurrence=dict(type="RECURRENCE_TYPE_DAILY", end_date="2031-03-31"))
    block = clinician.blocks("CreateTimeBlock", time_block=lunch).time_block
    found = refusal(clinician.appointments, "CreateAppointment",
                    appointment=appointment_fields(patient_id, date="2031-03-20", time="12:30"))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SLOT_CONFLICT")
    violations = found.detail(error_details_pb2.PreconditionFailure).violations
    assert [(v.type, v.subject) for v in violations] == [("TIME_BLOCK", block.id)]
    clinician.blocks("DeleteTimeBlock", time_block_id=block.id)
    booked = clinician.appointments(
        "CreateAppointment", appointment=appointment_fields(patient_id, date="2031-03-20", time="12:30")).appointment
    found = refusal(clinician.blocks, "CreateTimeBlock", time_block=lunch)
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BLOCK_CONFLICTS_WITH_APPOINTMENTS")
    violations = found.detail(error_details_pb2.PreconditionFailure).violations
    assert [v.subject for v in violations] == [booked.id]
