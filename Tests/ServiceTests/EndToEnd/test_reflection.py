"""The contract that the services show is the one in proto/; callers need nothing but the address."""

import json
import os
import pathlib
import subprocess

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from harness import ROOT, appointment_fields, new_id, patient_fields

BUF = pathlib.Path(os.environ["CLINICAVOICE_PYTHON"]) / "buf"
SERVICES = {
    "patient": {"clinicavoice.patient.v1.PatientService"},
    "appointment": {"clinicavoice.appointment.v1.AppointmentService", "clinicavoice.appointment.v1.TimeBlockService"},
}
STANDARD = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.mark.parametrize("name", SERVICES)
def test_reflection_lists_every_service(cluster, name):
    with getattr(cluster, name).channel() as channel:
        assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) == SERVICES[name] | STANDARD


@pytest.fixture(scope="session")
def image(tmp_path_factory) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    path = tmp_path_factory.mktemp("image") / "image.binpb"
    subprocess.run([BUF, "build", "--exclude-source-info", "-o", f"{path}#format=binpb"], cwd=ROOT / "proto", check=True)
    return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file}


@pytest.mark.parametrize("name", SERVICES)
def test_the_descriptors_served_equal_proto(cluster, name, image):
    with getattr(cluster, name).channel() as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        seen = 0
        for service in SERVICES[name]:
            todo = [database.FindFileContainingSymbol(service)]
            while todo:
                file = todo.pop()
                file.ClearField("source_code_info")
                expected = image[file.name]
                expected.DiscardUnknownFields()  # buf's own marks
                for each in (file, expected):
                    for field in [f for m in each.message_type for f in m.field]:
                        field.ClearField("json_name")  # buf writes the derived ones, protoc's image may not
                if not file.name.startswith("google/protobuf/"):
                    assert messages_of(file) == messages_of(expected), file.name
                    seen += 1
                todo += [database.FindFileByName(d) for d in file.dependency if not d.startswith("google/protobuf/")]
        assert seen >= len(SERVICES[name])


def messages_of(file):
    """All that callers depend on, without formatting details such as derived json names of nested types."""
    copy = descriptor_pb2.FileDescriptorProto.FromString(file.SerializeToString())

    def strip(message):
        for field in message.field:
            field.ClearField("json_name")
        for nested in message.nested_type:
            strip(nested)

    for message in copy.message_type:
        strip(message)
    return copy


class Dynamic:
    """Calls through reflection alone: no generated code."""

    def __init__(self, channel, metadata):
        self.channel, self.metadata = channel, metadata
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def call(self, service: str, method: str, **fields):
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(found.input_type)(**fields)
        answer = message_factory.GetMessageClass(found.output_type)
        stub = self.channel.unary_unary(
            f"/{service}/{method}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString)
        return stub(request, metadata=self.metadata, timeout=30)


def test_every_implemented_rpc_by_reflection_alone(cluster, keys):
    name = f"clinician-{new_id()}"
    metadata = [("authorization", f"Bearer {keys.token('clinician', name)}")]
    patients, appointments = "clinicavoice.patient.v1.PatientService", "clinicavoice.appointment.v1.AppointmentService"
    with cluster.patient.channel() as p, cluster.appointment.channel() as a, \
            cluster.patient.channel("appointment-service") as s:
        caller = Dynamic(p, metadata)
        patient = caller.call(patients, "CreatePatient", patient=patient_fields()).patient
        assert caller.call(patients, "GetPatient", patient_id=patient.id).patient == patient
        answer = Dynamic(s, []).call(
            patients, "ValidatePatientReferences", references=[dict(patient_id=patient.id, user_id=name)])
        assert answer.results[0].exists
        caller = Dynamic(a, metadata)
        booked = caller.call(appointments, "CreateAppointment", appointment=appointment_fields(patient.id)).appointment
        assert caller.call(appointments, "GetAppointment", appointment_id=booked.id).appointment == booked
        moved = caller.call(
            appointments, "UpdateAppointmentStatus", appointment_id=booked.id, status="APPOINTMENT_STATUS_CONFIRMED")
        assert moved.appointment.etag == '"2"'


def buf_curl(process, path: str, request: dict, token: str | None = None, *more: str):
    keys = process.keys.directory
    command = [BUF, "curl", "--protocol", "grpc", "--cacert", keys / "ca.pem", "-d", json.dumps(request)]
    if token:
        command += ["-H", f"authorization: Bearer {token}"]
    done = subprocess.run([*command, *more, f"https://localhost:{process.port}/{path}"], capture_output=True, text=True)
    return json.loads(done.stdout or done.stderr)


@pytest.mark.parametrize("schema", [(), ("--schema", str(ROOT / "proto"))], ids=["reflection", "schema"])
def test_buf_curl_calls_every_implemented_rpc(cluster, keys, schema):
    name = f"clinician-{new_id()}"
    token = keys.token("clinician", name)
    patients, appointments = "clinicavoice.patient.v1.PatientService/", "clinicavoice.appointment.v1.AppointmentService/"
    camel = dict(firstName="Maria", lastName="Muster", dateOfBirth="1980-01-15", gender="GENDER_FEMALE",
                 phone="+1 416 555 1234", email="maria@example.com")
    patient = buf_curl(cluster.patient, patients + "CreatePatient", {"patient": camel}, token, *schema)["patient"]
    assert buf_curl(cluster.patient, patients + "GetPatient", {"patientId": patient["id"]}, token, *schema)["patient"] == patient
    service = cluster.patient.keys.directory
    answer = buf_curl(
        cluster.patient, patients + "ValidatePatientReferences",
        {"references": [{"patientId": patient["id"], "userId": name}]}, None, *schema,
        "--cert", f"{service}/appointment-service.pem", "--key", f"{service}/appointment-service.key")
    assert answer["results"][0]["exists"]
    booking = {"appointment": {"patientId": patient["id"], "date": "2031-03-04", "time": "09:00",
                               "type": "APPOINTMENT_TYPE_FOLLOW_UP"}}
    booked = buf_curl(cluster.appointment, appointments + "CreateAppointment", booking, token, *schema)["appointment"]
    assert booked["duration"] == 30
    assert buf_curl(cluster.appointment, appointments + "GetAppointment", {"appointmentId": booked["id"]}, token, *schema)["appointment"] == booked
    moved = buf_curl(cluster.appointment, appointments + "UpdateAppointmentStatus",
                     {"appointmentId": booked["id"], "status": "APPOINTMENT_STATUS_CONFIRMED"}, token, *schema)
    assert moved["appointment"]["status"] == "APPOINTMENT_STATUS_CONFIRMED"
    again = buf_curl(cluster.appointment, appointments + "CreateAppointment", booking, token, *schema)
    assert again["code"] == "failed_precondition"


def test_health_answers_for_each_service_by_name(cluster):
    with cluster.appointment.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in SERVICES["appointment"]:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_health_watch_tells_at_once(cluster):
    with cluster.patient.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
