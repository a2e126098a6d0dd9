"""A disk that is really full: what is acknowledged stays, the service says so, and goes on when there is room again."""

import pathlib
import shutil
import subprocess

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness import BINARIES, Caller, Cluster, Process, patient_fields, refusal

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class ProcessOnSmallDisk(Process):
    """One of its directories is a small file system of its own, half of it taken; it lives as long as the process."""

    small: pathlib.Path
    kibibytes = 8192

    def command(self):
        script = (f'mount -t tmpfs -o size={self.kibibytes}k,mode=700 tmpfs "$0" && '
                  f'head -c {self.kibibytes * 500} /dev/zero >"$0/filler" && exec "$@"')
        return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(self.small), *super().command()]

    @property
    def files(self) -> pathlib.Path:
        """The small directory as the process sees it."""
        return pathlib.Path(f"/proc/{self.process.pid}/root{self.small}")

    def make_room(self):
        (self.files / "filler").unlink()


def test_a_full_disk_is_told_and_passes(tmp_path, keys):
    process = ProcessOnSmallDisk("patient-service", keys, tmp_path / "patient")
    process.small = process.data
    process.start()
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


def test_a_full_backup_disk_holds_nobody_up_and_is_caught_up_with(tmp_path, keys):
    small = tmp_path / "backups"
    small.mkdir()
    process = ProcessOnSmallDisk("patient-service", keys, tmp_path / "patient", more=("--backup-dir", str(small)))
    process.small, process.kibibytes = small, 2048
    process.start()
    cluster = Cluster(tmp_path, keys)
    cluster.patient = process
    caller = Caller(cluster, keys.token("clinician", "clinician-1"))
    street = "s" * 200
    address = dict(street=street, city=street, province=street, postal_code=street, country=street)

    def create_until(text):
        for _ in range(20_000):  # a bound, not an expectation
            caller.patients("CreatePatient", patient=patient_fields(address=address))
            if text in process.log.read_text():
                return
        raise AssertionError(f"the log never said: {text}")

    try:
        create_until("the archive falls behind")
        with process.channel() as channel:
            state = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30).status
        assert state == SERVING
        process.make_room()
        create_until("the archive is up to date again")
        # SQLite resolves the path under /proc to a place that only the process has.
        copy = shutil.copytree(process.files, tmp_path / "copy")
        key = keys.directory / "store.key"
        verify = [BINARIES / process.name, "verify", "--backup-dir", copy, "--store-key-file", key]
        checked = subprocess.run([str(part) for part in verify], capture_output=True, text=True, timeout=120)
        assert checked.returncode == 0 and "all is well" in checked.stdout, checked.stdout + checked.stderr
    finally:
        caller.close()
        assert process.stop() == 0
