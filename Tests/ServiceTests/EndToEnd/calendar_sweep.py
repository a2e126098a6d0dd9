"""What must be true of a clinician's calendar, found out from answers alone: who overlaps whom, what is missing, which
history has a gap. Shares nothing with the services: instants come from CPython's zoneinfo, the days of a recurrence
from the oracle that the Swift suites are held against.
"""

import dataclasses
import datetime as dt
import pathlib
import sys
import zoneinfo

from clinicavoice.appointment.v1 import appointment_pb2, calendar_pb2, time_block_pb2

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "AppointmentService"))
import recurrence_oracle  # noqa: E402

Status = appointment_pb2.AppointmentStatus
SCHEDULED, CONFIRMED, COMPLETED, CANCELLED, NO_SHOW = (
    Status.Value(f"APPOINTMENT_STATUS_{name}") for name in ("SCHEDULED", "CONFIRMED", "COMPLETED", "CANCELLED", "NO_SHOW"))
# DOMAIN 4's state machine.
ALLOWED = {
    SCHEDULED: {CONFIRMED, COMPLETED, CANCELLED, NO_SHOW},
    CONFIRMED: {SCHEDULED, COMPLETED, CANCELLED, NO_SHOW},
    COMPLETED: {NO_SHOW},
    NO_SHOW: {COMPLETED},
    CANCELLED: {SCHEDULED},
}
STEP = dt.timedelta(minutes=5)  # all times of the traffic are multiples of it


@dataclasses.dataclass
class Calendar:
    """Everything that the service answers about one clinician."""

    appointments: list
    histories: dict  # by the appointment's id
    blocks: list
    listed_blocks: set = dataclasses.field(default_factory=set)

    @classmethod
    def read(cls, caller, block_ids=()) -> "Calendar":
        def pages(stub, method, field, **request):
            token = ""
            while True:
                answer = stub(method, page_token=token, **request)
                yield from getattr(answer, field)
                token = answer.next_page_token
                if not token:
                    return

        appointments = list(pages(caller.appointments, "ListAppointments", "appointments", page_size=7))
        histories = {
            a.id: list(pages(
                caller.appointments, "ListAppointmentHistory", "entries", page_size=5, appointment_id=a.id))
            for a in appointments}
        blocks = [caller.blocks("GetTimeBlock", time_block_id=i).time_block for i in sorted(block_ids)]
        window = pages(
            caller.blocks, "ListTimeBlocks", "time_blocks", page_size=20, start_date="2031-03-01", end_date="2031-05-31")
        return cls(appointments, histories, blocks, {b.id for b in window})

    def faults(self) -> list[str]:
        return [*self.listed_twice(), *self.wrong_instants(), *self.overlaps(), *self.blocked(), *self.broken_histories()]

    def blocking(self):
        return [a for a in self.appointments if a.status != CANCELLED]

    def listed_twice(self):
        ids = [a.id for a in self.appointments]
        return [f"{i} is listed twice" for i in set(ids) if ids.count(i) > 1]

    def wrong_instants(self):
        for a in self.appointments:
            start = a.start_time.ToDatetime(dt.timezone.utc)
            local = start.astimezone(zoneinfo.ZoneInfo(a.time_zone))
            if f"{local:%Y-%m-%d %H:%M}" != f"{a.date} {a.time}" or length(a) != dt.timedelta(minutes=a.duration):
                yield f"{a.id} says {a.date} {a.time} {a.time_zone}, and starts at {start}"

    def overlaps(self):
        taken = self.blocking()
        for index, one in enumerate(taken):
            for other in taken[index + 1:]:
                if instants(one)[0] < instants(other)[1] and instants(other)[0] < instants(one)[1]:
                    yield f"{one.id} overlaps {other.id}"

    def blocked(self):
        for a in self.blocking():
            for block in self.blocks:
                if any(covers(block, moment) for moment in moments(*instants(a))):
                    yield f"{a.id} is inside block {block.id}"

    def broken_histories(self):
        for a in self.appointments:
            entries = self.histories[a.id]
            statuses = [e.status_change.status for e in entries if e.HasField("status_change")]
            if [e.sequence for e in entries] != list(range(1, len(entries) + 1)):
                yield f"{a.id}: the sequence of its history has gaps"
            if statuses[:1] != [SCHEDULED] or statuses[-1] != a.status:
                yield f"{a.id}: its history does not lead from SCHEDULED to its status"
            if any(after not in ALLOWED[before] for before, after in zip(statuses, statuses[1:])):
                yield f"{a.id}: its history has a step that no rule allows: {statuses}"
            # The booking makes two entries, its status and its notes, and each change after it one.
            if len(entries) != a.version + 1:
                yield f"{a.id}: {len(entries)} entries at version {a.version}"

    def missing(self, ledger) -> list[str]:
        """What was acknowledged and is not there, or is there and was not acknowledged."""
        return [*self.missing_appointments(ledger), *self.missing_blocks(ledger)]

    def missing_appointments(self, ledger):
        found = {a.id: a for a in self.appointments}
        acknowledged = {a.id for a in ledger.appointments}
        yield from (f"{i} was acknowledged and is gone" for i in acknowledged - set(found))
        yield from (f"{i} was never acknowledged" for i in set(found) - acknowledged)
        notes = ([e.notes_change.notes for e in h if e.HasField("notes_change")] for h in self.histories.values())
        first_notes = [written[0] for written in notes if written]
        if sorted(first_notes) != sorted(ledger.tags):
            yield "a booking was made twice, or not at all"
        for known in ledger.appointments:
            now = found.get(known.id)
            if now is None:
                continue
            if now.version < known.version or (now.version == known.version and now != known):
                yield f"{known.id}: version {known.version} was acknowledged, version {now.version} is there"
            for kind in ("status", "notes", "reschedule"):
                then, field = list(getattr(known, f"{kind}_history")), f"{kind}_change"
                if not is_run(then, [getattr(e, field) for e in self.histories[known.id] if e.HasField(field)]):
                    yield f"{known.id}: its {kind} history of version {known.version} was rewritten"

    def missing_blocks(self, ledger):
        latest = {b.id: b for b in self.blocks}
        yield from (f"block {i} was deleted and is listed" for i in self.listed_blocks & ledger.deleted_blocks)
        yield from (f"block {i} was never acknowledged" for i in self.listed_blocks - {b.id for b in ledger.blocks})
        for known in ledger.blocks:
            now = latest.get(known.id)
            if now is not None and (now.version < known.version or (now.version == known.version and now != known)):
                yield f"block {known.id}: version {known.version} was acknowledged, version {now.version} is there"

    def is_free(self, start: dt.datetime, minutes: int) -> bool:
        """Whether a booking there would overlap nothing."""
        end = start + dt.timedelta(minutes=minutes)
        return not any(instants(a)[0] < end and start < instants(a)[1] for a in self.blocking()) and not any(
            covers(block, moment) for block in self.blocks for moment in moments(start, end))


def instants(appointment):
    return appointment.start_time.ToDatetime(dt.timezone.utc), appointment.end_time.ToDatetime(dt.timezone.utc)


def length(appointment):
    start, end = instants(appointment)
    return end - start


def moments(start, end):
    while start < end:
        yield start
        start += STEP


def covers(block, moment: dt.datetime) -> bool:
    """Whether the wall clock in the block's zone is then on one of its days and in its hours (DOMAIN 5)."""
    local = moment.astimezone(zoneinfo.ZoneInfo(block.time_zone))
    if not block.start_time <= f"{local:%H:%M}" < block.end_time:
        return False
    rule = {"date": block.date}
    if block.HasField("recurrence"):
        recurrence = block.recurrence
        rule["recurrence"] = dict(
            kind=time_block_pb2.RecurrenceType.Name(recurrence.type).removeprefix("RECURRENCE_TYPE_").lower(),
            days=[int(day) for day in recurrence.days_of_week], interval=recurrence.interval or 1,
            dates=list(recurrence.dates), excluded=list(recurrence.excluded_dates),
            **({"end": recurrence.end_date} if recurrence.end_date else {}))
    return recurrence_oracle.matches(rule, local.date())


def is_run(part: list, whole: list) -> bool:
    """Whether `part` stands in `whole` as it is: histories only grow, and answers carry the latest entries."""
    return any(whole[start:start + len(part)] == part for start in range(len(whole) - len(part) + 1))


assert calendar_pb2.DayOfWeek.Value("DAY_OF_WEEK_MONDAY") == 1  # as in ISO 8601, which the oracle counts by
