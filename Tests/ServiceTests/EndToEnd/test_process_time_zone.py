"""The zone that a process runs in changes no answer: rules read the clinician's zone, never the machine's (DOMAIN 5)."""

import json
import re

from google.protobuf import json_format

from harness import Caller, Cluster, message, patient_fields, refusal

# 01:30 in Toronto on the day the clocks go forward; the evening before in Los Angeles, the afternoon in Tokyo.
NOW = "2026-03-08T06:30:00Z"
ZONES = ("Asia/Tokyo", "America/Los_Angeles", "UTC")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MADE_MRN = re.compile(r"(MRN-\d{8})-\d{4,}")


class Transcript:
    """What the services answered, call by call, with what is drawn at random replaced by its order of appearance."""

    def __init__(self):
        self.names: dict[str, str] = {}
        self.lines: list[str] = []

    def note(self, label, value: dict):
        text = json.dumps({label: value}, sort_keys=True, ensure_ascii=False)
        text = UUID.sub(lambda found: self.names.setdefault(found[0], f"id-{len(self.names)}"), text)
        text = MADE_MRN.sub(r"\1-N", text)
        self.lines.append(re.sub(r'"nextPageToken": "[^"]+"', '"nextPageToken": "more"', text))

    def asked(self, label, call, method, /, **fields):
        """Makes a call that succeeds, and returns its answer."""
        answer = call(method, **fields)
        self.note(label, json_format.MessageToDict(answer))
        return answer

    def refused(self, label, call, method, /, **fields):
        """Makes a call that is refused, and returns the reasons of its fields."""
        found = refusal(call, method, **fields)
        details = []
        for detail in found.details:
            if getattr(detail, "type_url", "").endswith(".SlotConflict"):
                conflict = message("appointment.v1.SlotConflict")()
                assert detail.Unpack(conflict)
                detail = conflict
            details.append(json_format.MessageToDict(detail))
        self.note(label, {"code": found.code.name, "message": found.message, "details": details})
        return found.field_reasons


def booking(patient, date, time, zone="", **more):
    return dict(patient_id=patient.id, date=date, time=time, time_zone=zone, type="APPOINTMENT_TYPE_FOLLOW_UP", **more)


def block(date, start, end, zone, **recurrence):
    return dict(date=date, start_time=start, end_time=end, reason="away", time_zone=zone, recurrence=recurrence or None)


def register(told, home, west):
    """Birth dates and ages at an hour at which it is not the same day everywhere."""
    born = {}
    for date in ("2026-03-08", "2008-03-08", "2008-03-09", "2000-02-29"):
        born[date] = told.asked(f"born {date}", home, "CreatePatient", patient=patient_fields(date_of_birth=date)).patient
    assert [born[f"2008-03-0{day}"].age for day in (8, 9)] == [18, 17]
    for label, call, date in (("tomorrow", home, "2026-03-09"), ("tomorrow in the west", west, "2026-03-08")):
        assert told.refused(label, call, "CreatePatient", patient=patient_fields(date_of_birth=date)) == {
            "patient.date_of_birth": "OUT_OF_RANGE"}
    return born["2000-02-29"]


def book(told, call, patient):
    """The past, gaps and folds, and what a conflict tells."""
    made = {}
    for label, date, time, zone, more in (
        ("today", "2026-03-08", "00:00", "", {}),
        ("yesterday in the west", "2026-03-07", "23:00", "America/Los_Angeles", {}),
        ("before the gap", "2026-03-09", "01:30", "America/Toronto", dict(duration=60)),
        ("into the gap", "2027-03-14", "01:30", "America/Toronto", dict(duration=60)),
        ("first pass", "2026-11-01", "01:00", "America/New_York", dict(duration=60)),
        ("second pass", "2026-11-01", "01:30", "America/New_York", dict(duration=60, fold="FOLD_LATER")),
        ("half an hour", "2026-10-04", "02:30", "Australia/Lord_Howe", {}),
        ("far east", "2026-06-01", "23:45", "Pacific/Kiritimati", {}),
    ):
        made[label] = told.asked(
            label, call, "CreateAppointment", appointment=booking(patient, date, time, zone, **more)).appointment
    assert made["into the gap"].end_time.ToJsonString() == "2027-03-14T07:30:00Z"
    assert made["second pass"].start_time.seconds - made["first pass"].start_time.seconds == 5400
    assert made["half an hour"].start_time.ToJsonString() == "2026-10-03T15:30:00Z"
    for label, date, time, zone, reason in (
        ("yesterday", "2026-03-07", "23:00", "", "APPOINTMENT_IN_PAST"),
        ("in the gap", "2027-03-14", "02:30", "America/Toronto", "NONEXISTENT_LOCAL_TIME"),
        ("in the short gap", "2026-10-04", "02:10", "Australia/Lord_Howe", "NONEXISTENT_LOCAL_TIME"),
        ("taken", "2027-03-14", "03:15", "America/Toronto", None),
    ):
        reasons = told.refused(label, call, "CreateAppointment", appointment=booking(patient, date, time, zone))
        assert list(reasons.values()) == ([reason] if reason else [])
    return made


def move(told, call, made):
    """Every kind of change, a reinstatement into the past included, and the histories that they leave."""
    moved = made["far east"].id
    told.asked("rescheduled", call, "RescheduleAppointment", appointment_id=moved, time_zone="Pacific/Apia", date="2026-06-02")
    told.refused("into the past", call, "RescheduleAppointment", appointment_id=moved, date="2026-03-06")
    told.asked("notes", call, "UpdateAppointment", appointment=dict(id=moved, notes="later"), update_mask=dict(paths=["notes"]))
    for status, reason in (("CANCELLED", "ill"), ("SCHEDULED", "")):
        told.asked(status, call, "UpdateAppointmentStatus", appointment_id=moved, reason=reason,
                   status=f"APPOINTMENT_STATUS_{status}")
    told.asked("history", call, "ListAppointmentHistory", appointment_id=moved)
    gone = made["yesterday in the west"].id
    told.asked("cancelled", call, "UpdateAppointmentStatus", appointment_id=gone, reason="ill",
               status="APPOINTMENT_STATUS_CANCELLED")


def block_time(told, blocks, appointments, patient):
    """Recurring blocks over changes of the clocks, north and south."""
    daily = told.asked("daily", blocks, "CreateTimeBlock", time_block=block(
        "2027-03-13", "04:30", "05:30", "America/Toronto", type="RECURRENCE_TYPE_DAILY", end_date="2027-03-16")).time_block
    told.asked("over the gap", blocks, "CreateTimeBlock", time_block=block(
        "2026-10-03", "01:45", "02:15", "Australia/Lord_Howe", type="RECURRENCE_TYPE_DAILY", end_date="2026-10-05"))
    told.asked("over the fold", blocks, "CreateTimeBlock", time_block=block(
        "2026-04-01", "01:30", "02:15", "Australia/Lord_Howe", type="RECURRENCE_TYPE_WEEKLY",
        days_of_week=["DAY_OF_WEEK_SUNDAY"]))
    told.refused("booked already", blocks, "CreateTimeBlock", time_block=block(
        "2026-10-25", "05:00", "06:00", "UTC", type="RECURRENCE_TYPE_WEEKLY"))
    for window in (("2026-04-01", "2026-04-30"), ("2026-10-01", "2026-10-10"), ("2027-03-12", "2027-03-17")):
        found = told.asked(f"window {window}", blocks, "ListTimeBlocks", start_date=window[0], end_date=window[1])
        assert found.occurrences
    told.refused("blocked", appointments, "CreateAppointment", appointment=booking(patient, "2027-03-15", "08:30", "UTC"))
    told.asked("one day free", blocks, "UpdateTimeBlock", time_block=dict(
        id=daily.id, recurrence=dict(excluded_dates=["2027-03-15"])), update_mask=dict(paths=["recurrence.excluded_dates"]))
    told.asked("free", appointments, "CreateAppointment", appointment=booking(patient, "2027-03-15", "08:30", "UTC"))


def read(told, call):
    """Pages in both directions, and a window of civil dates."""
    for order in ("SORT_ORDER_ASCENDING", "SORT_ORDER_DESCENDING"):
        token, pages = "", 0
        while pages == 0 or token:
            page = told.asked(f"{order} {pages}", call, "ListAppointments", page_size=3, order=order, page_token=token)
            token = page.next_page_token
            pages += 1
        assert pages > 2
    told.asked("one day", call, "ListAppointments", start_date="2026-03-08", end_date="2026-03-08", include_total_size=True)


def run(directory, keys, zone) -> list[str]:
    clock = directory / "clock"
    clock.write_text(f"{NOW}\n")
    cluster = Cluster(directory, keys, environment={"TZ": zone})
    for process in (cluster.patient, cluster.appointment):
        process.more += ("--development-clock-file", str(clock))
    told = Transcript()
    try:
        cluster.start()
        home = Caller(cluster, keys.token("clinician", "clinician-1"))
        west = Caller(cluster, keys.token("clinician", "clinician-2", "--zoneinfo", "America/Los_Angeles"))
        patient = register(told, home.patients, west.patients)
        made = book(told, home.appointments, patient)
        move(told, home.appointments, made)
        block_time(told, home.blocks, home.appointments, patient)
        read(told, home.appointments)
        clock.write_text("2026-11-01T05:45:00Z\n")  # between the two passes of 01:45 in New York
        told.refused("reinstated too late", home.appointments, "UpdateAppointmentStatus",
                     appointment_id=made["yesterday in the west"].id, status="APPOINTMENT_STATUS_SCHEDULED")
        told.asked("older now", home.patients, "GetPatient", patient_id=patient.id)
        home.close()
        west.close()
    finally:
        cluster.stop()
    return told.lines


def test_the_zone_of_the_process_changes_no_answer(tmp_path, keys):
    transcripts = {}
    for zone in ZONES:
        directory = tmp_path / zone.replace("/", "-")
        directory.mkdir()
        transcripts[zone] = run(directory, keys, zone)
    first = transcripts[ZONES[0]]
    for zone in ZONES[1:]:
        assert transcripts[zone] == first, f"under {zone}"
