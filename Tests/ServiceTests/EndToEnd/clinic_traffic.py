"""Clients that change one clinician's calendar at random, and remember what was acknowledged.

Each client draws from a seed of its own. A call whose outcome is unknown, because the service was killed under it, is
made again with the same request_id until there is an answer, as a careful caller does.
"""

import copy
import dataclasses
import random
import threading
import time
import uuid

import grpc

from harness import Caller, refusal

ZONES = ("UTC", "America/Toronto", "Europe/Berlin")
DATES = [f"2031-03-{day:02}" for day in range(7, 12)]  # Toronto's clocks go forward on the 9th
WEEKDAYS = ["DAY_OF_WEEK_FRIDAY", "DAY_OF_WEEK_SUNDAY", "DAY_OF_WEEK_TUESDAY"]
# What a random call may be told, and a caller who knows the calendar would not be.
REFUSALS = {
    "SLOT_CONFLICT", "BLOCK_CONFLICTS_WITH_APPOINTMENTS", "INVALID_STATUS_TRANSITION", "ETAG_MISMATCH",
    "TIME_BLOCK_NOT_FOUND", "CONTENTION",
}
FIELD_REFUSALS = {"NONEXISTENT_LOCAL_TIME", "RECURRENCE_EMPTY"}
UNKNOWN_OUTCOME = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}


@dataclasses.dataclass
class Ledger:
    """What the clients of one clinician were told. Appointments and blocks are kept as they were answered."""

    clinician: str
    token: str
    patient_id: str
    appointments: list = dataclasses.field(default_factory=list)
    blocks: list = dataclasses.field(default_factory=list)
    deleted_blocks: set = dataclasses.field(default_factory=set)
    tags: set = dataclasses.field(default_factory=set)  # the first notes of what was booked
    operations: dict = dataclasses.field(default_factory=dict)
    faults: list = dataclasses.field(default_factory=list)
    repeated: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def any_appointment(self, chance):
        with self.lock:
            return chance.choice(self.appointments) if self.appointments else None

    def any_block(self, chance):
        with self.lock:
            return chance.choice(self.blocks) if self.blocks else None

    def acknowledge(self, operation, appointments=(), block=None, deleted=None, tags=()):
        with self.lock:
            self.appointments += appointments
            self.tags.update(tags)
            if block is not None:
                self.blocks.append(block)
            if deleted is not None:
                self.deleted_blocks.add(deleted)
            self.operations[operation] = self.operations.get(operation, 0) + 1


class Client(threading.Thread):
    """Makes random calls until told to stop, and at least `least`."""

    def __init__(self, name, cluster, ledger: Ledger, seed: int, stop: threading.Event, least: int):
        super().__init__(name=name)
        self.caller, self.ledger, self.chance = Caller(cluster, ledger.token), ledger, random.Random(seed)
        self.ended, self.least, self.made = stop, least, 0

    def run(self):
        operations = [
            (self.create, 30), (self.batch, 8), (self.reschedule, 16), (self.cancel, 12), (self.reinstate, 10),
            (self.confirm, 4), (self.complete, 2), (self.notes, 10), (self.block, 6), (self.change_block, 5),
            (self.delete_block, 4)]
        choices, weights = zip(*operations)
        try:
            while not self.ended.is_set() or self.made < self.least:
                self.made += 1
                self.chance.choices(choices, weights)[0]()
        except Exception as fault:  # told to the test, which fails
            self.ledger.faults.append(f"{self.name}: {fault!r}")
        finally:
            self.caller.close()

    def answer(self, stub, method, **fields):
        """The answer, or None if the rules refused the call."""
        fields["request_id"] = str(self.uuid())
        give_up = time.monotonic() + 120
        while True:
            try:
                return getattr(self.caller, stub)(method, timeout=60, **copy.deepcopy(fields))
            except grpc.RpcError as error:
                if error.code() in UNKNOWN_OUTCOME and time.monotonic() < give_up:
                    self.ledger.repeated += 1
                    self.ended.wait(0.05)
                    continue
                known = refusal(raising, error)
                fields_told = set(known.field_reasons.values())
                if known.reason in REFUSALS or (fields_told and fields_told <= FIELD_REFUSALS):
                    return None
                raise AssertionError(f"{method} was refused with {known}") from error

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)

    # Each operation: draw, call, and note what was acknowledged.

    def slot(self):
        chance = self.chance
        minutes = 5 * chance.randrange(288)
        return dict(date=chance.choice(DATES), time=f"{minutes // 60:02}:{minutes % 60:02}",
                    duration=15 * chance.randint(1, 6), time_zone=chance.choice(ZONES))

    def booking(self):
        return dict(patient_id=self.ledger.patient_id, type="APPOINTMENT_TYPE_URGENT", notes=f"booked as {self.uuid()}",
                    **self.slot())

    def create(self):
        fields = self.booking()
        if answer := self.answer("appointments", "CreateAppointment", appointment=fields):
            self.ledger.acknowledge("create", [answer.appointment], tags=[fields["notes"]])

    def batch(self):
        items = [self.booking() for _ in range(self.chance.randint(2, 4))]
        requests = [dict(appointment=item) for item in items]
        if answer := self.answer("appointments", "BatchCreateAppointments", requests=requests):
            assert len(answer.appointments) == len(items)
            self.ledger.acknowledge("batch", answer.appointments, tags=[i["notes"] for i in items])

    def change(self, operation, method, **fields):
        if known := self.ledger.any_appointment(self.chance):
            if method == "UpdateAppointment":
                fields["appointment"] = dict(id=known.id, **fields["appointment"])
            else:
                fields["appointment_id"] = known.id
            etag = known.etag if self.chance.random() < 0.3 else ""
            if answer := self.answer("appointments", method, etag=etag, **fields):
                self.ledger.acknowledge(operation, [answer.appointment])

    def reschedule(self):
        slot = self.slot()
        kept = self.chance.sample(list(slot), self.chance.randint(1, 4))
        self.change("reschedule", "RescheduleAppointment", **{name: slot[name] for name in kept})

    def status(self, operation, status, reason=""):
        self.change(operation, "UpdateAppointmentStatus", status=f"APPOINTMENT_STATUS_{status}", reason=reason)

    def cancel(self):
        self.status("cancel", "CANCELLED", "not needed")

    def reinstate(self):
        self.status("reinstate", "SCHEDULED")

    def confirm(self):
        self.status("confirm", "CONFIRMED")

    def complete(self):
        self.status("complete", "COMPLETED")

    def notes(self):
        self.change("notes", "UpdateAppointment", appointment=dict(notes=f"noted as {self.uuid()}"),
                    update_mask=dict(paths=["notes"]))

    def recurrence(self):
        chance = self.chance
        return chance.choice([
            None,
            dict(type="RECURRENCE_TYPE_DAILY", interval=chance.randint(1, 3),
                 end_date=chance.choice(["2031-03-11", "2031-04-30"])),
            dict(type="RECURRENCE_TYPE_WEEKLY", days_of_week=chance.sample(WEEKDAYS, chance.randint(1, 2))),
        ])

    def hours(self):
        start = 5 * self.chance.randrange(280)
        end = min(1440, start + 5 * self.chance.randint(1, 6))
        return dict(start_time=f"{start // 60:02}:{start % 60:02}", end_time=f"{end // 60:02}:{end % 60:02}")

    def block(self):
        fields = dict(date=self.chance.choice(DATES), reason="away", time_zone=self.chance.choice(ZONES),
                      recurrence=self.recurrence(), **self.hours())
        if answer := self.answer("blocks", "CreateTimeBlock", time_block=fields):
            self.ledger.acknowledge("block", block=answer.time_block)

    def change_block(self):
        if known := self.ledger.any_block(self.chance):
            answer = self.answer("blocks", "UpdateTimeBlock", time_block=dict(id=known.id, **self.hours()),
                                 update_mask=dict(paths=["start_time", "end_time"]))
            if answer:
                self.ledger.acknowledge("change block", block=answer.time_block)

    def delete_block(self):
        if known := self.ledger.any_block(self.chance):
            if self.answer("blocks", "DeleteTimeBlock", time_block_id=known.id):
                self.ledger.acknowledge("delete block", deleted=known.id)


def raising(error):
    raise error
