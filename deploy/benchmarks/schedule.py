"""The measurement of `deploy/bench schedule`: see there.

CPU is what the kernel says of appointment-service's threads, in nanoseconds, so that neither the client nor other load
is in it. Both calendars have the same number of appointments a day: only their length differs.
"""

import argparse
import concurrent.futures
import datetime as dt
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/ServiceTests/EndToEnd"))
import stubs  # noqa: E402, F401
from harness import Caller, Cluster, Keys, patient_fields  # noqa: E402

FIRST = dt.date(2027, 1, 4)
HOURS = [f"{8 + half // 2:02}:{half % 2 * 30:02}" for half in range(16)]  # 16 a day, from 08:00, half an hour each
EVENING_SLOTS = 14  # from 17:00 on
BATCH, PAGE = 25, 50


class Calendar:
    """One clinician with so many appointments."""

    def __init__(self, cluster, keys, name: str, size: int, evenings: int):
        self.name, self.size, self.evenings = name, size, evenings
        self.caller = Caller(cluster, keys.token("clinician", f"clinician-{name}", "--ttl", "12h"))
        self.patient = self.caller.patients("CreatePatient", patient=patient_fields()).patient.id
        self.days = (size + len(HOURS) - 1) // len(HOURS)
        self.booked = 0

    def appointment(self, day: int, hour: str) -> dict:
        return dict(patient_id=self.patient, date=(FIRST + dt.timedelta(days=day)).isoformat(), time=hour,
                    duration=30, type="APPOINTMENT_TYPE_FOLLOW_UP", time_zone="UTC")

    def fill(self):
        wanted = [dict(appointment=self.appointment(place // len(HOURS), HOURS[place % len(HOURS)]))
                  for place in range(self.size)]
        batches = [wanted[start:start + BATCH] for start in range(0, len(wanted), BATCH)]
        # A calendar is serial: a few callers keep it busy, more would only contend.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda requests: self.caller.appointments(
                    "BatchCreateAppointments", requests=requests, timeout=120), batches):
                pass

    def page(self, chance: random.Random):
        """A page from a day somewhere in the calendar."""
        day = chance.randrange(max(1, self.days - PAGE // len(HOURS) - 1))
        answer = self.caller.appointments(
            "ListAppointments", page_size=PAGE, start_date=(FIRST + dt.timedelta(days=day)).isoformat())
        assert len(answer.appointments) == PAGE

    def book(self, chance: random.Random):
        """A booking in the evening of one of the days in the middle, which are taken in turn. Both calendars use the same
        number of days, so that these become equally full."""
        evening, day = divmod(self.booked, self.evenings)
        self.booked += 1
        hour = f"{17 + evening // 2:02}:{evening % 2 * 30:02}"
        day += (self.days - self.evenings) // 2
        self.caller.appointments("CreateAppointment", appointment=self.appointment(day, hour))


def cpu_nanoseconds(pid: int) -> int:
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def measured(pid: int, call, calls: int, chance: random.Random) -> tuple[float, float]:
    """CPU-µs of the service and elapsed µs, per call."""
    before, start = cpu_nanoseconds(pid), time.perf_counter_ns()
    for _ in range(calls):
        call(chance)
    elapsed, used = time.perf_counter_ns() - start, cpu_nanoseconds(pid) - before
    return used / calls / 1000, elapsed / calls / 1000


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, kind in (("few", int), ("many", int), ("calls", int), ("rounds", int), ("max-ratio", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    options = parser.parse_args()
    room = EVENING_SLOTS * (options.few // len(HOURS))
    if options.few < 4 * PAGE or options.calls * (options.rounds + 1) > room:
        parser.error(f"the small calendar must hold four pages, and its evenings have room for {room} bookings only")
    with tempfile.TemporaryDirectory(prefix="clinicavoice-bench-") as directory:
        (pathlib.Path(directory) / "keys").mkdir()
        keys = Keys(pathlib.Path(directory) / "keys")
        cluster = Cluster(pathlib.Path(directory), keys)
        try:
            cluster.start()
            return compare(options, cluster, keys)
        finally:
            cluster.stop()


def compare(options, cluster, keys) -> int:
    pid = cluster.appointment.process.pid
    calendars = []
    for name, size in (("few", options.few), ("many", options.many)):
        calendar = Calendar(cluster, keys, name, size, evenings=options.few // len(HOURS))
        start = time.monotonic()
        calendar.fill()
        print(f"{size} appointments booked in {time.monotonic() - start:.0f} s", file=sys.stderr)
        calendars.append(calendar)
    results = {}
    for round_number in range(options.rounds + 1):  # the first warms up
        for calendar in calendars:
            for kind, call in (("page", calendar.page), ("booking", calendar.book)):
                figures = measured(pid, call, options.calls, random.Random(round_number))
                if round_number > 0:
                    results.setdefault((kind, calendar.name), []).append(figures)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}; commit {commit.strip() or 'unknown'}", file=sys.stderr)
    worst = 0.0
    for kind in ("page", "booking"):
        medians = {}
        for calendar in calendars:
            rounds = results[kind, calendar.name]
            cpu, elapsed = (statistics.median(figure[place] for figure in rounds) for place in (0, 1))
            medians[calendar.name] = cpu
            print(f"{kind:8} at {calendar.size:7} {cpu:8.1f} CPU-µs {elapsed:8.1f} µs")
        ratio = medians["many"] / medians["few"]
        worst = max(worst, ratio)
        print(f"{kind:8} ratio      {ratio:8.2f}")
    return 0 if worst <= options.max_ratio else 1


if __name__ == "__main__":
    sys.exit(main())
