"""Every RPC that is implemented, by four foreign callers over TLS: grpcio with generated stubs, grpcio by reflection
alone, buf curl by reflection, and buf curl with the schema of proto/."""

import json
import os
import pathlib
import subprocess

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

# The descriptors of the services, for the default pool.
from clinicavoice.appointment.v1 import appointment_service_pb2, time_block_service_pb2  # noqa: F401
from clinicavoice.patient.v1 import patient_service_pb2  # noqa: F401
from harness import ROOT, new_id

BUF = pathlib.Path(os.environ["CLINICAVOICE_PYTHON"]) / "buf"
PATIENTS = "clinicavoice.patient.v1.PatientService"
APPOINTMENTS = "clinicavoice.appointment.v1.AppointmentService"
TIME_BLOCKS = "clinicavoice.appointment.v1.TimeBlockService"
# Streams that go on until their caller ends them: the first message is the answer.
ENDLESS = {"WatchPatients", "WatchAppointments"}
SERVICES = {PATIENTS: "patient", APPOINTMENTS: "appointment", TIME_BLOCKS: "appointment"}


class Grpcio:
    """grpcio; the messages' classes come from the stubs that were made from proto/."""

    def __init__(self, cluster, token):
        self.cluster = cluster
        self.metadata = [("authorization", f"Bearer {token}")]

    def pool(self, channel):
        return descriptor_pool.Default()

    def call(self, service, method, request, by_service=False):
        process = getattr(self.cluster, SERVICES[service])
        with process.channel("appointment-service" if by_service else None) as channel:
            found = self.pool(channel).FindServiceByName(service).FindMethodByName(method)
            answer = message_factory.GetMessageClass(found.output_type)
            make = channel.unary_stream if method in ENDLESS else channel.unary_unary
            send = make(
                f"/{service}/{method}", request_serializer=lambda m: m.SerializeToString(),
                response_deserializer=answer.FromString)
            message = json_format.ParseDict(request, message_factory.GetMessageClass(found.input_type)())
            response = send(message, timeout=60, metadata=[] if by_service else self.metadata)
            if method in ENDLESS:
                stream, response = response, next(response)
                stream.cancel()
            return json_format.MessageToDict(response)


class GrpcioByReflection(Grpcio):
    def pool(self, channel):
        return descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


class BufCurl:
    schema = ()

    def __init__(self, cluster, token):
        self.cluster, self.token = cluster, token

    def call(self, service, method, request, by_service=False):
        process = getattr(self.cluster, SERVICES[service])
        keys = process.keys.directory
        command = [BUF, "curl", "--protocol", "grpc", "--cacert", keys / "ca.pem", "-d", json.dumps(request), *self.schema]
        if by_service:
            command += ["--cert", keys / "appointment-service.pem", "--key", keys / "appointment-service.key"]
        else:
            command += ["-H", f"authorization: Bearer {self.token}"]
        command.append(f"https://localhost:{process.port}/{service}/{method}")
        if method in ENDLESS:
            return first_object(command)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def first_object(command):
    """The first message of a stream that does not end by itself."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        text = ""
        try:
            for line in running.stdout:
                text += line
                try:
                    return json.loads(text)
                except json.JSONDecodeError:
                    continue
        finally:
            running.kill()
        raise AssertionError(running.stderr.read())


class BufCurlWithSchema(BufCurl):
    schema = ("--schema", str(ROOT / "proto"))


PATIENT = dict(firstName="Maria", lastName="Muster", dateOfBirth="1980-01-15", gender="GENDER_FEMALE",
               phone="+1 416 555 1234", email="maria@example.com")


def appointment(state, time, **more):
    return dict(patientId=state["patient"]["id"], date="2031-03-04", time=time, type="APPOINTMENT_TYPE_FOLLOW_UP", **more)


def keep(name):
    """Keeps the resource of an answer for the steps after it."""
    def check(state, answer):
        state[name] = answer[name]
    return check


def equals(name):
    def check(state, answer):
        assert answer[name] == state[name]
    return check


def has(path, wanted):
    """Whether a value in an answer is as wanted; the path's parts are separated by dots."""
    def check(state, answer):
        value = answer
        for part in path.split("."):
            value = value[int(part)] if part.isdigit() else value[part]
        assert value == (wanted(state) if callable(wanted) else wanted)
    return check


def counts(name, wanted):
    def check(state, answer):
        assert len(answer[name]) == wanted
    return check


# (service, method, request, what the answer must be, whether appointment-service calls)
STEPS = [
    (PATIENTS, "WatchPatients", lambda s: {}, keep("resumeToken"), False),
    (PATIENTS, "CreatePatient", lambda s: dict(patient=PATIENT), keep("patient"), False),
    (PATIENTS, "WatchPatients", lambda s: dict(resumeToken=s["resumeToken"], heartbeatInterval="5s"),
     has("changes.0.resourceId", lambda s: s["patient"]["id"]), False),
    (PATIENTS, "GetPatient", lambda s: dict(patientId=s["patient"]["id"]), equals("patient"), False),
    (PATIENTS, "GetPatientByMrn", lambda s: dict(mrn=s["patient"]["mrn"].lower()), equals("patient"), False),
    (PATIENTS, "BatchGetPatients", lambda s: dict(patientIds=[new_id(), s["patient"]["id"]]),
     has("patients.0.id", lambda s: s["patient"]["id"]), False),
    (PATIENTS, "ListPatients", lambda s: dict(pageSize=10), has("patients.0.id", lambda s: s["patient"]["id"]), False),
    (PATIENTS, "SearchPatients", lambda s: dict(lastNamePrefix="mÜs"), has("patients.0.id", lambda s: s["patient"]["id"]), False),
    (PATIENTS, "ValidatePatientReferences",
     lambda s: dict(references=[dict(patientId=s["patient"]["id"], userId=s["patient"]["userId"])]),
     has("results.0.exists", True), True),
    (PATIENTS, "UpdatePatient",
     lambda s: dict(patient=dict(id=s["patient"]["id"], phone="+1 416 555 0000"), updateMask="phone", etag='"1"'),
     has("patient.etag", '"2"'), False),
    (PATIENTS, "DeactivatePatient", lambda s: dict(patientId=s["patient"]["id"]), has("patient.status", "PATIENT_STATUS_INACTIVE"), False),
    (PATIENTS, "ReactivatePatient", lambda s: dict(patientId=s["patient"]["id"]), has("patient.status", "PATIENT_STATUS_ACTIVE"), False),
    (APPOINTMENTS, "WatchAppointments", lambda s: {}, keep("resumeToken"), False),
    (APPOINTMENTS, "CreateAppointment", lambda s: dict(appointment=appointment(s, "09:00")), keep("appointment"), False),
    (APPOINTMENTS, "WatchAppointments",
     lambda s: dict(resumeToken=s["resumeToken"], userId=s["appointment"]["userId"]),
     has("changes.0.resourceId", lambda s: s["appointment"]["id"]), False),
    (APPOINTMENTS, "GetAppointment", lambda s: dict(appointmentId=s["appointment"]["id"]), equals("appointment"), False),
    (APPOINTMENTS, "BatchCreateAppointments",
     lambda s: dict(requests=[dict(appointment=appointment(s, time)) for time in ("11:00", "12:00")]),
     has("appointments.1.time", "12:00"), False),
    (APPOINTMENTS, "BatchGetAppointments", lambda s: dict(appointmentIds=[s["appointment"]["id"], new_id()]),
     has("appointments.0.id", lambda s: s["appointment"]["id"]), False),
    (APPOINTMENTS, "UpdateAppointment",
     lambda s: dict(appointment=dict(id=s["appointment"]["id"], notes="sleeps well"), updateMask="notes"),
     has("appointment.notesHistory.0.notes", "sleeps well"), False),
    (APPOINTMENTS, "RescheduleAppointment", lambda s: dict(appointmentId=s["appointment"]["id"], time="09:15"),
     has("appointment.rescheduleHistory.0.newDuration", 30), False),
    (APPOINTMENTS, "UpdateAppointmentStatus",
     lambda s: dict(appointmentId=s["appointment"]["id"], status="APPOINTMENT_STATUS_CONFIRMED"),
     has("appointment.status", "APPOINTMENT_STATUS_CONFIRMED"), False),
    (APPOINTMENTS, "ListAppointments",
     lambda s: dict(startDate="2031-03-04", endDate="2031-03-04", patientId=s["patient"]["id"],
                    statuses=["APPOINTMENT_STATUS_CONFIRMED"]),
     has("appointments.0.id", lambda s: s["appointment"]["id"]), False),
    (APPOINTMENTS, "ListAppointmentHistory", lambda s: dict(appointmentId=s["appointment"]["id"]),
     has("entries.0.sequence", "1"), False),
    (TIME_BLOCKS, "CreateTimeBlock",
     lambda s: dict(timeBlock=dict(date="2031-03-03", startTime="13:00", endTime="14:00", reason="lunch", type="TIME_BLOCK_TYPE_BREAK",
                                   recurrence=dict(type="RECURRENCE_TYPE_DAILY", endDate="2031-03-31"))), keep("timeBlock"), False),
    (TIME_BLOCKS, "GetTimeBlock", lambda s: dict(timeBlockId=s["timeBlock"]["id"]), equals("timeBlock"), False),
    (TIME_BLOCKS, "ListTimeBlocks", lambda s: dict(startDate="2031-03-04", endDate="2031-03-05"),
     has("occurrences.1.date", "2031-03-05"), False),
    (TIME_BLOCKS, "UpdateTimeBlock",
     lambda s: dict(timeBlock=dict(id=s["timeBlock"]["id"], reason="long lunch"), updateMask="reason"),
     has("timeBlock.etag", '"2"'), False),
    (TIME_BLOCKS, "DeleteTimeBlock", lambda s: dict(timeBlockId=s["timeBlock"]["id"]), lambda s, answer: None, False),
    (APPOINTMENTS, "CancelPatientAppointments", lambda s: dict(patientId=s["patient"]["id"], reason="moved away"),
     counts("cancelledAppointmentIds", 3), False),
]


@pytest.mark.parametrize("caller", [Grpcio, GrpcioByReflection, BufCurl, BufCurlWithSchema], ids=lambda c: c.__name__)
def test_every_implemented_rpc(cluster, keys, caller):
    calls = caller(cluster, keys.token("clinician", f"clinician-{new_id()}"))
    state = {}
    for service, method, request, check, by_service in STEPS:
        check(state, calls.call(service, method, request(state), by_service))


@pytest.mark.parametrize("service", SERVICES)
def test_no_implemented_rpc_is_left_out(cluster, keys, service):
    """What is not in STEPS answers UNIMPLEMENTED to whoever may call it."""
    called = {method for name, method, *_ in STEPS if name == service}
    process = getattr(cluster, SERVICES[service])
    tokens = [keys.token(role, f"{role}-1") for role in ("clinician", "service", "patient")]
    for method in descriptor_pool.Default().FindServiceByName(service).methods:
        if method.name in called:
            continue
        with process.channel() as channel:
            send = channel.stream_stream(f"/{service}/{method.name}")
            codes = []
            for token in tokens:
                answers = send(iter([b""]), timeout=30, metadata=[("authorization", f"Bearer {token}")])
                with pytest.raises(grpc.RpcError):
                    list(answers)
                codes.append(answers.code())
        assert grpc.StatusCode.UNIMPLEMENTED in codes or method.name == "ActivateAccount", (method.name, codes)
        assert set(codes) <= {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED}, (method.name, codes)
