"""A disk that is really full: what is acknowledged stays, the service says so, and goes on when there is room again."""

import pathlib

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness import Caller, Cluster, Process, patient_fields, refusal

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class ProcessOnSmallDisk(Process):
    """The data directory is a file system of its own of 8 MiB, of which 4 MB are taken; it lives as long as the process."""

    def command(self):
        script = 'mount -t tmpfs -o size=8m,mode=700 tmpfs "$0" && head -c 4000000 /dev/zero >"$0/filler" && exec "$@"'
        return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(self.data), *super().command()]

    def make_room(self):
        # As the process sees its own files.
        pathlib.Path(f"/proc/{self.process.pid}/root{self.data}/filler").unlink()


def test_a_full_disk_is_told_and_passes(tmp_path, keys):
    process = ProcessOnSmallDisk("patient-service", keys, tmp_path / "patient").start()
    cluster = Cluster(tmp_path, keys)
    cluster.patient = process
    caller = Caller(cluster, keys.token("clinician", "clinician-1"))
    try:
        with process.channel() as channel:
            states = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=120)
            assert next(states).status == SERVING
            acknowledged, street = [], "s" * 200
            address = dict(street=street, city=street, province=street, postal_code=street, country=street)

            def fill():
                while True:
                    fields = patient_fields(address=address)
                    acknowledged.append(caller.patients("CreatePatient", patient=fields).patient.id)

            full = refusal(fill)
            assert (full.code, full.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            assert next(states).status == NOT_SERVING
            assert "the disk is full" in process.log.read_text()
            assert caller.patients("GetPatient", patient_id=acknowledged[-1]).patient.id == acknowledged[-1]

            process.make_room()
            assert next(states).status == SERVING
            acknowledged.append(caller.patients("CreatePatient", patient=patient_fields()).patient.id)
            found = caller.patients("BatchGetPatients", patient_ids=acknowledged[-100:]).patients
            assert [patient.id for patient in found] == acknowledged[-100:]
    finally:
        caller.close()
        assert process.stop() == 0
