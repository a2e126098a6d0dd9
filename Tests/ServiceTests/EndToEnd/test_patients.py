"""PatientService over TLS, called by grpcio with stubs made from proto/."""

import re

import grpc
import pytest
from google.rpc import error_details_pb2

from harness import new_id, patient_fields, refusal


def test_a_registered_patient_reads_back_as_it_was_given(clinician):
    created = clinician.patients("CreatePatient", patient=patient_fields(last_name="Łukasiewicz")).patient
    assert re.fullmatch(r"MRN-\d{8}-\d{4,}", created.mrn)
    assert created.created_at == created.updated_at and created.etag == '"1"'
    assert clinician.patients("GetPatient", patient_id=created.id).patient == created
    assert created.last_name == "Łukasiewicz"


def test_all_violations_come_at_once(clinician):
    found = refusal(clinician.patients, "CreatePatient", patient=dict(
        first_name=" ", last_name="x" * 101, date_of_birth="1900-02-29", gender="GENDER_UNSPECIFIED",
        phone="12", email="nobody"))
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT and found.reason == "VALIDATION_FAILED"
    assert found.field_reasons == {
        "patient.first_name": "REQUIRED", "patient.last_name": "TOO_LONG", "patient.date_of_birth": "MALFORMED",
        "patient.gender": "REQUIRED", "patient.phone": "MALFORMED", "patient.email": "MALFORMED"}


def test_an_mrn_is_unique_across_clinicians_and_the_refusal_does_not_say_whose(cluster, caller_of):
    one, other = caller_of(cluster), caller_of(cluster)
    mrn = f"A-{new_id()[:8]}"
    assert one.patients("CreatePatient", patient=patient_fields(mrn=mrn)).patient.mrn == mrn.upper()
    found = refusal(other.patients, "CreatePatient", patient=patient_fields(mrn=mrn.lower()))
    assert (found.code, found.reason) == (grpc.StatusCode.ALREADY_EXISTS, "MRN_ALREADY_EXISTS")
    assert "clinician-" not in found.message


def test_a_request_id_registers_once(clinician):
    request_id = new_id()
    first = clinician.patients("CreatePatient", request_id=request_id, patient=patient_fields()).patient
    again = clinician.patients("CreatePatient", request_id=request_id, patient=patient_fields()).patient
    assert first == again


def test_a_request_id_with_another_payload_is_refused(clinician):
    request_id = new_id()
    clinician.patients("CreatePatient", request_id=request_id, patient=patient_fields())
    found = refusal(clinician.patients, "CreatePatient", request_id=request_id, patient=patient_fields(first_name="Eva"))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


def test_a_foreign_patient_looks_exactly_like_an_unknown_one(cluster, caller_of):
    one, other = caller_of(cluster), caller_of(cluster)
    foreign = one.patients("CreatePatient", patient=patient_fields()).patient.id
    unknown = new_id()
    answers = {}
    for identifier in (foreign, unknown):
        found = refusal(other.patients, "GetPatient", patient_id=identifier)
        found.trailers.pop("x-correlation-id")
        found.trailers.pop("grpc-status-details-bin")
        text = repr([found.code, found.message, [str(d) for d in found.details], sorted(found.trailers)])
        answers[identifier] = text.replace(identifier, "ID")
    assert answers[foreign] == answers[unknown]
    assert "PATIENT_NOT_FOUND" in answers[unknown]


def test_a_foreign_partition_is_refused_whether_or_not_it_exists(clinician):
    found = refusal(clinician.patients, "GetPatient", patient_id=new_id(), user_id="clinician-somebody-else")
    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PARTITION_NOT_ALLOWED")


def test_a_delegate_reads_the_partition_of_the_clinician_it_names(cluster, caller_of):
    name = f"clinician-{new_id()}"
    owner, delegate = caller_of(cluster, "clinician", name), caller_of(cluster, "delegate", None, "--acts-for", name)
    patient = owner.patients("CreatePatient", patient=patient_fields()).patient
    assert delegate.patients("GetPatient", patient_id=patient.id, user_id=name).patient.id == patient.id
    created = delegate.patients("CreatePatient", user_id=name, patient=patient_fields()).patient
    assert created.user_id == name and created.created_by != name


def test_references_answer_without_personal_data(cluster, caller_of, keys):
    name = f"clinician-{new_id()}"
    patient = caller_of(cluster, "clinician", name).patients("CreatePatient", patient=patient_fields()).patient
    service = caller_of(cluster, None, service="appointment-service")
    answer = service.patients("ValidatePatientReferences", references=[
        dict(patient_id=patient.id, user_id=name), dict(patient_id=new_id(), user_id=name),
        dict(patient_id=patient.id, user_id="clinician-somebody-else")])
    assert [r.exists for r in answer.results] == [True, False, False]
    assert "Muster" not in str(answer) and patient.mrn not in str(answer)


@pytest.mark.parametrize("role", ["clinician", "delegate", "patient"])
def test_people_may_not_validate_references(cluster, caller_of, role):
    more = ("--acts-for", "clinician-x") if role == "delegate" else ()
    found = refusal(caller_of(cluster, role, None, *more).patients, "ValidatePatientReferences",
                    references=[dict(patient_id=new_id(), user_id="clinician-x")])
    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")


def test_the_limit_of_references_is_one_hundred(cluster, caller_of):
    service = caller_of(cluster, None, service="appointment-service")
    references = [dict(patient_id=new_id(), user_id="clinician-x") for _ in range(101)]
    assert len(service.patients("ValidatePatientReferences", references=references[:100]).results) == 100
    found = refusal(service.patients, "ValidatePatientReferences", references=references)
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT


def test_every_refusal_carries_a_correlation_id(clinician):
    assert refusal(clinician.patients, "GetPatient", patient_id=new_id()).trailers["x-correlation-id"]


def test_details_of_a_missing_patient_name_the_resource(clinician):
    identifier = new_id()
    found = refusal(clinician.patients, "GetPatient", patient_id=identifier.upper())
    assert found.detail(error_details_pb2.ResourceInfo).resource_name == identifier
    assert found.domain == "patient.clinicavoice"
