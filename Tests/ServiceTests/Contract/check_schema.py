#!/usr/bin/env python3
"""Holds the contract against the user's document, attribute for attribute.

Every attribute of the three tables of database-schema.md, and every member of its TypeScript interfaces, has to have
its field in the contract: the snake_case name (so that proto3-JSON gives the documented one), the type that its
description asks for, and presence exactly where the document says that it may be missing. The values of closed sets are
compared one by one.

Usage: check_schema.py DESCRIPTOR_SET, made by

    protoc -I proto --include_imports --descriptor_set_out=DESCRIPTOR_SET $(find proto -name '*.proto')

Needs the Python package protobuf. Exits with 1 when a check fails.
"""

import json
import pathlib
import re
import sys

from google.protobuf import descriptor_pb2

Field = descriptor_pb2.FieldDescriptorProto
FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "Fixtures" / "database-schema-attributes.json"
PATIENT, APPOINTMENT = ".clinicavoice.patient.v1.", ".clinicavoice.appointment.v1."
TIMESTAMP = ".google.protobuf.Timestamp"

TABLES = {
    "Patients": PATIENT + "Patient",
    "Appointments": APPOINTMENT + "Appointment",
    "TimeBlocks": APPOINTMENT + "TimeBlock",
}
INTERFACES = {
    "Patient": PATIENT + "Patient",
    "Address": PATIENT + "Address",
    "Appointment": APPOINTMENT + "Appointment",
    "StatusChange": APPOINTMENT + "StatusChange",
    "NotesChange": APPOINTMENT + "NotesChange",
    "TimeBlock": APPOINTMENT + "TimeBlock",
    "Recurrence": APPOINTMENT + "Recurrence",
}

# What the document leaves to prose or examples: (interface, member) -> type in the contract.
DECIDED = {
    ("StatusChange", "status"): APPOINTMENT + "AppointmentStatus",  # values as in the table's attribute
    ("StatusChange", "timestamp"): TIMESTAMP,  # "timestamp": "2025-12-10T14:30:00Z"
    ("NotesChange", "timestamp"): TIMESTAMP,
    ("Recurrence", "daysOfWeek"): APPOINTMENT + "DayOfWeek",  # [1, 3, 5], numbered as in ISO 8601
}
# Maps and lists of the tables: attribute -> the interface of its value.
STRUCTURES = {
    "address": "Address",
    "statusHistory": "StatusChange",
    "notesHistory": "NotesChange",
    "recurrence": "Recurrence",
}
# What the services add to the document's attributes: interface -> field -> type.
ADDED = {
    "Patient": {"version": Field.TYPE_INT64, "etag": Field.TYPE_STRING, "age": Field.TYPE_INT32},
    "Appointment": {
        "version": Field.TYPE_INT64,
        "etag": Field.TYPE_STRING,
        "time_zone": Field.TYPE_STRING,
        "fold": APPOINTMENT + "Fold",
        "start_time": TIMESTAMP,
        "end_time": TIMESTAMP,
        "reschedule_history": APPOINTMENT + "RescheduleChange",
    },
    "TimeBlock": {
        "version": Field.TYPE_INT64,
        "etag": Field.TYPE_STRING,
        "time_zone": Field.TYPE_STRING,
        "updated_at": TIMESTAMP,
        "updated_by": Field.TYPE_STRING,
    },
    "Recurrence": {
        "interval": Field.TYPE_INT32,
        "dates": Field.TYPE_STRING,
        "excluded_dates": Field.TYPE_STRING,
    },
}
ADDED_LISTS = {"reschedule_history", "dates", "excluded_dates"}
ADDED_OPTIONAL = {"age"}  # 0 is the age of an infant


class Report:
    """Counts checks and prints those that fail."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, holds, subject, message):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {subject}: {message}")
        return holds


class Contract:
    """The messages and enums of a descriptor set, by full name with a leading dot."""

    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        files.ParseFromString(path.read_bytes())
        self.messages, self.enums = {}, {}
        for file in files.file:
            self._add(f".{file.package}.", file.message_type, file.enum_type)

    def _add(self, scope, messages, enums):
        self.enums.update({scope + enum.name: enum for enum in enums})
        for message in messages:
            self.messages[scope + message.name] = message
            self._add(f"{scope}{message.name}.", message.nested_type, message.enum_type)

    def field(self, message, name):
        declared = self.messages.get(message)
        return next((field for field in declared.field if field.name == name), None) if declared else None

    def values(self, enum):
        """Names of an enum's values without its prefix and without UNSPECIFIED."""
        prefix = snake(enum.rsplit(".", 1)[1]).upper() + "_"
        names = [value.name for value in sorted(self.enums[enum].value, key=lambda value: value.number)]
        return [name.removeprefix(prefix) for name in names if name != prefix + "UNSPECIFIED"]


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def type_of(field):
    return field.type_name or field.type


def has_presence(field):
    if field.label == Field.LABEL_REPEATED:
        return True  # an empty list stands for a missing one
    return field.type == Field.TYPE_MESSAGE or field.proto3_optional


def closed_set(words):
    """`male, female, prefer-not-to-say` or `'male' | 'female'` -> value names; None if it is not such a list."""
    items = [item.strip().strip("'") for item in re.split(r"[,|]", words)]
    if len(items) < 2 or not all(re.fullmatch(r"[a-z]+(-[a-z]+)*", item) for item in items):
        return None
    return [item.upper().replace("-", "_") for item in items]


def check_presence(report, subject, field, optional):
    """A missing value can be told from an empty one if, and for scalars only if, the document lets it be missing."""
    if optional:
        report.check(has_presence(field), subject, "may be missing, but its absence cannot be seen")
    else:
        report.check(not field.proto3_optional, subject, "is required, but declared optional")


def check_type(report, contract, subject, field, expected, repeated=False):
    """`expected` is a number of FieldDescriptorProto.Type, a full type name, or a list of an enum's values."""
    report.check(
        (field.label == Field.LABEL_REPEATED) == repeated, subject, f"should {'' if repeated else 'not '}be repeated")
    if isinstance(expected, list):
        if report.check(field.type == Field.TYPE_ENUM, subject, f"should be an enum of {expected}"):
            actual = contract.values(field.type_name)
            report.check(actual == expected, subject, f"has the values {actual}, should have {expected}")
    else:
        report.check(type_of(field) == expected, subject, f"has the type {type_of(field)}, should have {expected}")


def check_attribute(report, contract, table, row):
    subject = f"{table}.{row['attribute']}"
    field = contract.field(TABLES[table], snake(row["attribute"]))
    if not report.check(field is not None, subject, "has no field"):
        return
    report.check(field.json_name == row["attribute"], subject, f"is {field.json_name} in JSON")
    check_presence(report, subject, field, optional=not row["required"])
    if row["type"] in ("Map", "List"):
        expected = INTERFACES[STRUCTURES[row["attribute"]]]
    elif row["type"] == "Number":
        expected = Field.TYPE_INT32
    elif row["description"] == "ISO timestamp":
        expected = TIMESTAMP
    else:
        expected = closed_set(row["description"]) or Field.TYPE_STRING
    check_type(report, contract, subject, field, expected, repeated=row["type"] == "List")


def check_member(report, contract, interface, row, instants):
    subject = f"interface {interface}.{row['member']}"
    field = contract.field(INTERFACES[interface], snake(row["member"]))
    if not report.check(field is not None, subject, "has no field"):
        return
    report.check(field.json_name == row["member"], subject, f"is {field.json_name} in JSON")
    check_presence(report, subject, field, row["optional"])
    repeated, element = row["type"].endswith("[]"), row["type"].removesuffix("[]")
    if (interface, row["member"]) in DECIDED:
        expected = DECIDED[interface, row["member"]]
    elif element in INTERFACES:
        expected = INTERFACES[element]
    elif row["member"] in instants:
        expected = TIMESTAMP
    else:
        scalars = {"string": Field.TYPE_STRING, "number": Field.TYPE_INT32}
        expected = scalars[element] if element in scalars else closed_set(element)
    check_type(report, contract, subject, field, expected, repeated)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    contract, report = Contract(pathlib.Path(arguments[0])), Report()
    document = json.loads(FIXTURE.read_text(encoding="utf-8"))
    report.check(set(document["tables"]) == set(TABLES), "tables", "are not those of the document")
    report.check(set(document["interfaces"]) == set(INTERFACES), "interfaces", "are not those of the document")

    rows = [(table, row) for table in TABLES for row in document["tables"][table]]
    for table, row in rows:
        check_attribute(report, contract, table, row)
    instants = {row["attribute"] for _, row in rows if row["description"] == "ISO timestamp"}
    for interface in INTERFACES:
        for row in document["interfaces"][interface]:
            check_member(report, contract, interface, row, instants)
    for interface, fields in ADDED.items():
        for name, expected in fields.items():
            subject = f"{interface}, added {name}"
            field = contract.field(INTERFACES[interface], name)
            if report.check(field is not None, subject, "has no field"):
                check_presence(report, subject, field, name in ADDED_OPTIONAL)
                check_type(report, contract, subject, field, expected, name in ADDED_LISTS)

    days = {value.name: value.number for value in contract.enums[APPOINTMENT + "DayOfWeek"].value}
    report.check(
        days["DAY_OF_WEEK_MONDAY"] == 1 and days["DAY_OF_WEEK_SUNDAY"] == 7, "DayOfWeek", "is not numbered as ISO 8601")

    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
