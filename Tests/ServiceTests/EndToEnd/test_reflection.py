"""The contract that the services show is the one in proto/; callers need nothing but the address."""

import os
import pathlib
import subprocess

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from harness import ROOT

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
