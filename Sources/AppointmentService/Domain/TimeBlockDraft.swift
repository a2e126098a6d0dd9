internal import CivilTime
internal import Contract
internal import ServiceCore

/// A checked time block of a request, with the rules of its zone.
struct TimeBlockDraft: Sendable {
  var content: TimeBlockContent
  var zone: TimeZoneRules

  /// Notes everything that is wrong with the message (DOMAIN 5); the result is `nil` then.
  ///
  /// - Throws: when the machine's time zones cannot be read.
  init?(
    _ message: AppointmentV1.TimeBlock, at path: FieldPath, zones: SlotZones, violations: inout FieldViolations
  ) throws {
    guard let fields = try TimeBlockFields(message, at: path, zones: zones, &violations) else { return nil }
    zone = fields.zone
    content = TimeBlockContent(
      rule: BlockRule(
        date: fields.date, start: fields.start, end: fields.end, timeZone: zone.id,
        recurrence: fields.recurrence),
      reason: fields.reason, type: fields.type)
    let found = violations.all.count
    content.rule.check(at: path, &violations)
    guard violations.all.count == found else { return nil }
  }
}

extension BlockRule {
  /// Notes what is wrong with the fields together.
  fileprivate func check(at path: FieldPath, _ violations: inout FieldViolations) {
    if end <= start {
      violations.add(
        .outOfRange, at: path.field("end_time"),
        "It must be after the start; a block does not cross midnight, 24:00 is the end of the day.")
    }
    guard let recurrence else { return }
    let path = path.child("recurrence")
    let found = violations.all.count
    if let endDate = recurrence.endDate, endDate < date {
      violations.add(.outOfRange, at: path.field("end_date"), "It must not be before the block's date.")
    } else if recurrence.excludedDates.contains(where: { $0 < date || $0 > recurrence.endDate ?? $0 }) {
      violations.add(
        .outOfRange, at: path.field("excluded_dates"), "They must lie between the block's date and the end date.")
    }
    if recurrence.kind == .custom {
      if recurrence.dates.isEmpty, recurrence.daysOfWeek.isEmpty {
        violations.add(.required, at: path.field("dates"), "A custom recurrence needs dates or days of the week.")
      }
    } else if !recurrence.dates.isEmpty {
      violations.add(.outOfRange, at: path.field("dates"), "Only a custom recurrence has dates.")
    }
    if violations.all.count == found, !hasOccurrence {
      violations.add(.recurrenceEmpty, at: path.description, "The recurrence has no date at all.")
    }
  }
}
