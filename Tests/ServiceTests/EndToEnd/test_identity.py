"""Nobody calls without an identity, but for health, reflection and account activation (DOMAIN 1, DESIGN 7)."""

import time

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness import Caller, new_id, refusal


def claims_of(token: str) -> tuple[dict, dict]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def signing_key(keys) -> str:
    return (keys.directory / "jwt-signing-key.pem").read_text()


def get(cluster, token):
    caller = Caller(cluster, token)
    try:
        return refusal(caller.patients, "GetPatient", patient_id=new_id())
    finally:
        caller.close()


def test_a_call_without_credentials_is_refused(cluster):
    found = get(cluster, None)
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")


def test_a_token_signed_by_an_independent_library_is_accepted(cluster, keys):
    header, claims = claims_of(keys.token("clinician", "clinician-pyjwt"))
    token = jwt.encode(claims, signing_key(keys), algorithm="ES256", headers={"kid": header["kid"]})
    assert get(cluster, token).reason == "PATIENT_NOT_FOUND"


def test_an_expired_token_is_refused_by_name(cluster, keys):
    header, claims = claims_of(keys.token("clinician", "clinician-late"))
    claims |= {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    claims.pop("nbf", None)
    token = jwt.encode(claims, signing_key(keys), algorithm="ES256", headers={"kid": header["kid"]})
    found = get(cluster, token)
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")


def unsigned(keys):
    _, claims = claims_of(keys.token("clinician", "clinician-none"))
    return jwt.encode(claims, None, algorithm="none")


def foreign_key(keys):
    header, claims = claims_of(keys.token("clinician", "clinician-forged"))
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": header["kid"]})


def symmetric(keys):
    header, claims = claims_of(keys.token("clinician", "clinician-hs"))
    return jwt.encode(claims, "0123456789abcdef0123456789abcdef", algorithm="HS256", headers={"kid": header["kid"]})


def wrong_role(keys):
    header, claims = claims_of(keys.token("clinician", "clinician-king"))
    claims["custom:user_type"] = "king"
    return jwt.encode(claims, signing_key(keys), algorithm="ES256", headers={"kid": header["kid"]})


@pytest.mark.parametrize("forge", [unsigned, foreign_key, symmetric, wrong_role, lambda keys: "not.a.token", lambda keys: "x" * 20_000],
                         ids=["none", "foreign key", "HS256", "unknown role", "garbage", "huge"])
def test_a_forged_token_is_refused(cluster, keys, forge):
    found = get(cluster, forge(keys))
    # A header list over its limit is refused before anybody reads it.
    assert found.code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert found.reason in ("CREDENTIALS_INVALID", None, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")


def test_a_service_is_known_by_its_certificate_only(cluster, keys, caller_of):
    service = caller_of(cluster, None, service="appointment-service")
    found = refusal(service.patients, "CreatePatient", patient={})
    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")


def test_a_forwarded_certificate_header_is_not_believed(cluster):
    caller = Caller(cluster, None)
    found = refusal(caller.patients, "ValidatePatientReferences", metadata=[
        ("x-forwarded-client-cert", "URI=spiffe://clinicavoice/service/appointment-service")])
    caller.close()
    assert found.code == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("name", ["patient", "appointment"])
def test_health_is_open_to_everybody(cluster, name):
    with getattr(cluster, name).channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_rpc_that_is_not_built_yet_is_unimplemented_for_those_who_may_call_it(clinician):
    found = refusal(clinician.appointments, "SearchAvailability", start_date="2031-01-01", end_date="2031-01-02")
    assert found.code == grpc.StatusCode.UNIMPLEMENTED
