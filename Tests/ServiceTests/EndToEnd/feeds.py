"""A consumer of a feed that dies and goes on, and those who make what it is fed (for test_watch.py)."""

import collections
import functools
import random
import threading

import grpc

from harness import Caller, appointment_fields, message, new_id, patient_fields

WRITERS = 20
CREATED, UPDATED, DELETED = 1, 2, 3


class Feed:
    """A consumer that deals with responses, dies, and goes on from the last token it dealt with."""

    def __init__(self, cluster, token, method="WatchAppointments", **fields):
        self.cluster, self.token, self.method, self.fields = cluster, token, method, fields
        self.resume_token = ""
        self.events = []
        self.caller = self.call = None

    @property
    def package(self):
        return "patient.v1" if self.method == "WatchPatients" else "appointment.v1"

    def connect(self):
        """On a connection of its own."""
        self.disconnect()
        self.caller = Caller(self.cluster, self.token)
        request = message(f"{self.package}.{self.method}Request")(resume_token=self.resume_token, **self.fields)
        call = self.caller.patients if self.method == "WatchPatients" else self.caller.appointments
        self.call = call(self.method, request, timeout=600)
        return self

    def take(self):
        """One response, dealt with."""
        response = next(self.call)
        assert response.resume_token
        self.events += response.changes
        self.resume_token = response.resume_token
        return response

    def take_events(self, count):
        while len(self.events) < count:
            self.take()
        return self.events

    def disconnect(self):
        if self.call is not None:
            self.call.cancel()
            self.caller.close()
        self.call = None


def versions_of(events):
    """The versions of each resource, in the order in which they came; all events in the order of the feed."""
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences)), "out of order, or twice"
    versions = collections.defaultdict(list)
    for event in events:
        versions[event.resource_id].append(event.version)
    return dict(versions)


class Writers:
    """Twenty who book, move, note, cancel and block in one clinician's calendar, and remember what was answered."""

    def __init__(self, cluster, keys, name, mutations, seed):
        self.versions = collections.defaultdict(int)
        self.deleted = set()
        self.patient_id = None
        self.left = mutations
        self.lock = threading.Lock()
        self.unsure = False
        self._failures = []
        token = keys.token("clinician", name)
        setup = Caller(cluster, token)
        self.patient_id = setup.patients("CreatePatient", patient=patient_fields()).patient.id
        setup.close()
        self._threads = [
            threading.Thread(target=self._run, args=(Caller(cluster, token), n, random.Random(seed * 1000 + n)))
            for n in range(WRITERS)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def join(self):
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    @property
    def is_running(self):
        return any(thread.is_alive() for thread in self._threads)

    def _take_one(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def _note(self, identifier, version):
        with self.lock:
            self.versions[identifier] = max(self.versions[identifier], version)

    @staticmethod
    def _again(call, *arguments, **fields):
        """Twenty share a calendar: who loses too often is told, nothing was written, and tries again."""
        while True:
            try:
                return call(*arguments, **fields)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.ABORTED:
                    raise

    def _run(self, caller, number, chance):
        """Keeps to a month of its own, so that refusals do not eat the mutations; the clinician's calendar is one."""
        appointments = functools.partial(self._again, caller.appointments)
        blocks = functools.partial(self._again, caller.blocks)
        own, slots, block = [], iter(range(28 * 24)), None
        try:
            while self._take_one():
                kind = chance.random()
                if kind < 0.25 or not own:
                    slot = next(slots)
                    fields = appointment_fields(
                        self.patient_id, date=f"{2031 + number // 12}-{1 + number % 12:02}-{1 + slot // 24:02}",
                        time=f"{slot % 24:02}:00", duration=15)
                    made = appointments("CreateAppointment", request_id=new_id(), appointment=fields).appointment
                    own.append(made.id)
                    self._note(made.id, made.version)
                elif kind < 0.6:
                    changed = appointments(
                        "UpdateAppointment", appointment=dict(id=chance.choice(own), notes=new_id()),
                        update_mask=dict(paths=["notes"])).appointment
                    self._note(changed.id, changed.version)
                elif kind < 0.75:
                    current = appointments("GetAppointment", appointment_id=chance.choice(own)).appointment
                    moved = appointments(
                        "RescheduleAppointment", appointment_id=current.id,
                        duration=30 if current.duration == 15 else 15).appointment
                    self._note(moved.id, moved.version)
                elif kind < 0.9:
                    identifier = chance.choice(own)
                    current = appointments("GetAppointment", appointment_id=identifier).appointment
                    status = {1: "CONFIRMED", 2: "SCHEDULED"}[current.status]
                    changed = appointments(
                        "UpdateAppointmentStatus", appointment_id=identifier,
                        status=f"APPOINTMENT_STATUS_{status}").appointment
                    self._note(identifier, changed.version)
                elif block is None:
                    block = blocks("CreateTimeBlock", time_block=dict(
                        date=f"2040-{1 + number % 12:02}-01", start_time="08:00", end_time="09:00", reason="lunch")).time_block.id
                    self._note(block, 1)
                else:
                    blocks("DeleteTimeBlock", time_block_id=block)
                    with self.lock:
                        self.deleted.add(block)
                    block = None
        except Exception as error:  # noqa: BLE001 (told by join)
            with self.lock:
                self._failures.append(error)
        finally:
            caller.close()


def assert_complete(events, writers):
    """Every version of every resource once, in order; each deletion once, behind the last version."""
    changes = [e for e in events if e.operation != DELETED]
    versions_of(events)
    assert versions_of(changes) == {i: list(range(1, last + 1)) for i, last in writers.versions.items()}
    assert all((e.operation == CREATED) == (e.version == 1) for e in changes)
    deletions = [e.resource_id for e in events if e.operation == DELETED]
    assert sorted(deletions) == sorted(writers.deleted)


def expected_count(writers):
    return sum(writers.versions.values()) + len(writers.deleted)
