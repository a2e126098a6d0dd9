"""The sweep that judges the services finds what it is there to find: each calendar here has one fault, made by hand."""

import datetime as dt

import pytest

from calendar_sweep import CANCELLED, CONFIRMED, SCHEDULED, Calendar
from clinic_traffic import Ledger
from clinicavoice.appointment.v1 import appointment_pb2, time_block_pb2


def appointment(name, time, *, minutes=30, status=SCHEDULED, version=1, zone="UTC", start=None):
    made = appointment_pb2.Appointment(
        id=name, date="2031-03-09", time=time, duration=minutes, time_zone=zone, status=status, version=version)
    start = start or dt.datetime.fromisoformat(f"2031-03-09T{time}:00+00:00")
    made.start_time.FromDatetime(start)
    made.end_time.FromDatetime(start + dt.timedelta(minutes=minutes))
    return made


def history(*statuses, notes="booked"):
    entries = [appointment_pb2.HistoryEntry(status_change=dict(status=status)) for status in statuses]
    entries.insert(1, appointment_pb2.HistoryEntry(notes_change=dict(notes=notes)))
    for sequence, entry in enumerate(entries):
        entry.sequence = sequence + 1
    return entries


def calendar(*appointments, blocks=(), **histories):
    return Calendar(list(appointments), {a.id: histories.get(a.id) or history(SCHEDULED) for a in appointments}, list(blocks))


def block(start, end, zone="UTC", **recurrence):
    made = time_block_pb2.TimeBlock(id="b", date="2031-03-08", start_time=start, end_time=end, time_zone=zone)
    if recurrence:
        made.recurrence.CopyFrom(time_block_pb2.Recurrence(**recurrence))
    return made


DAILY = dict(type="RECURRENCE_TYPE_DAILY")
TORONTO = "America/Toronto"


@pytest.mark.parametrize(("found", "fault"), [
    (calendar(appointment("a", "09:00"), appointment("b", "09:30")), None),
    (calendar(appointment("a", "09:00"), appointment("b", "09:25")), "a overlaps b"),
    (calendar(appointment("a", "09:00"), appointment("b", "09:00", status=CANCELLED, version=2),
              b=history(SCHEDULED, CANCELLED)), None),
    (calendar(appointment("a", "09:00"), appointment("a", "11:00")), "a is listed twice"),
    (calendar(appointment("a", "09:00"), blocks=[block("09:15", "09:20", **DAILY)]), "a is inside block b"),
    (calendar(appointment("a", "09:00"), blocks=[block("09:15", "09:20")]), None),
    (calendar(appointment("a", "09:00"), blocks=[block("09:30", "10:00", **DAILY)]), None),
    # 09:00 UTC is 04:00 in Toronto until the night of the 9th, and 05:00 after it.
    (calendar(appointment("a", "09:00"), blocks=[block("04:00", "05:00", TORONTO, **DAILY)]), None),
    (calendar(appointment("a", "09:00"), blocks=[block("05:00", "06:00", TORONTO, **DAILY)]), "a is inside block b"),
    (calendar(appointment("a", "09:00", zone=TORONTO)), "a says 2031-03-09 09:00"),
    (calendar(appointment("a", "09:00"), a=history(SCHEDULED)[:1]), "a: 1 entries at version 1"),
    (calendar(appointment("a", "09:00", status=CONFIRMED)), "does not lead from SCHEDULED"),
    (calendar(appointment("a", "09:00", status=CONFIRMED, version=3), a=history(SCHEDULED, CANCELLED, CONFIRMED)),
     "no rule allows"),
])
def test_each_fault_is_found(found, fault):
    faults = found.faults()
    assert len(faults) == (fault is not None) and (fault is None or fault in faults[0]), faults


def known(*appointments, tags=("booked",)):
    return Ledger("c", "", "", appointments=list(appointments), tags=set(tags))


@pytest.mark.parametrize(("ledger", "fault"), [
    (known(appointment("a", "09:00")), None),
    (known(appointment("a", "09:00"), appointment("b", "10:00")), "b was acknowledged and is gone"),
    (known(), "a was never acknowledged"),
    (known(appointment("a", "09:00"), tags=("booked", "twice")), "made twice, or not at all"),
    (known(appointment("a", "09:00", version=2)), "version 2 was acknowledged, version 1 is there"),
    (known(appointment("a", "09:15")), "version 1 was acknowledged, version 1 is there"),
])
def test_each_lost_write_is_found(ledger, fault):
    faults = calendar(appointment("a", "09:00")).missing(ledger)
    assert len(faults) == (fault is not None) and (fault is None or fault in faults[0]), faults


def test_a_rewritten_history_is_found():
    told = appointment("a", "09:00")
    told.status_history.add(status=CONFIRMED)
    faults = calendar(appointment("a", "09:00", version=2)).missing(known(told))
    assert [f for f in faults if "status history of version 1 was rewritten" in f]
