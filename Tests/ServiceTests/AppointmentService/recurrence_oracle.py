"""An independent, day-by-day reading of DOMAIN 5, to hold BlockRule against. Nothing here is shared with the service.

Reads one rule a line as JSON, and prints for each, as JSON, its dates in the window that it names and the minutes that
it covers, found by walking over every minute of UTC around each date and looking at the wall clock.
"""

import datetime as dt
import json
import sys
import zoneinfo

DAY = dt.timedelta(days=1)


def matches(rule, day):
    anchor = dt.date.fromisoformat(rule["date"])
    recurrence = rule.get("recurrence")
    if recurrence is None:
        return day == anchor
    if day < anchor or ("end" in recurrence and day > dt.date.fromisoformat(recurrence["end"])):
        return False
    if day.isoformat() in recurrence["excluded"]:
        return False
    days, interval = set(recurrence["days"]), recurrence["interval"]

    def monday(date):
        return date - (date.isoweekday() - 1) * DAY

    def weekly(wanted):
        return day.isoweekday() in wanted and ((monday(day) - monday(anchor)).days // 7) % interval == 0

    if recurrence["kind"] == "daily":
        return (day - anchor).days % interval == 0 and (not days or day.isoweekday() in days)
    if recurrence["kind"] == "weekly":
        return weekly(days or {anchor.isoweekday()})
    return day.isoformat() in recurrence["dates"] or weekly(days)


def covered(rule, day):
    """The minutes (since 1970) at which the wall clock shows this day and a time in [start, end)."""
    zone = zoneinfo.ZoneInfo(rule["zone"])
    moment = dt.datetime(day.year, day.month, day.day, tzinfo=dt.timezone.utc) - dt.timedelta(hours=27)
    minutes = []
    for _ in range(78 * 60):
        local = moment.astimezone(zone)
        if local.date() == day and rule["start"] <= local.hour * 60 + local.minute < rule["end"]:
            minutes.append(int(moment.timestamp()) // 60)
        moment += dt.timedelta(minutes=1)
    ranges = []
    for minute in minutes:
        if ranges and ranges[-1][1] == minute:
            ranges[-1][1] = minute + 1
        else:
            ranges.append([minute, minute + 1])
    return ranges


def main():
    for line in sys.stdin:
        rule = json.loads(line)
        days, day = [], dt.date.fromisoformat(rule["from"])
        while day <= dt.date.fromisoformat(rule["to"]):
            if matches(rule, day):
                days.append(day)
            day += DAY
        # Clocks change on few days: those that the rule asks about, and the first.
        looked_at = [d for d in days if d.isoformat() in rule["look"]] + days[:1]
        print(json.dumps({
            "dates": [d.isoformat() for d in days],
            "minutes": {d.isoformat(): covered(rule, d) for d in looked_at},
        }), flush=True)


if __name__ == "__main__":
    main()
