internal import CivilTime
internal import Contract
internal import ServiceCore

/// The fields of a time block, each checked on its own (DOMAIN 5); what they mean together is ``TimeBlockDraft``'s.
struct TimeBlockFields: Sendable {
  var date: CivilDate
  var start: CivilTimeOfDay
  var end: CivilTimeOfDay
  var reason: String
  var type: TimeBlockType
  var zone: TimeZoneRules
  var recurrence: Recurrence?

  /// `nil` after having noted what is wrong with any of them.
  ///
  /// - Throws: when the machine's time zones cannot be read.
  init?(
    _ message: AppointmentV1.TimeBlock, at path: FieldPath, zones: SlotZones, _ violations: inout FieldViolations
  ) throws {
    let date = Self.date(message.date, at: path.field("date"), &violations)
    let start = Self.time(message.startTime, at: path.field("start_time"), endOfDay: false, &violations)
    let end = Self.time(message.endTime, at: path.field("end_time"), endOfDay: true, &violations)
    let reason = violations.text(message.reason, .reason, at: path.field("reason"))
    let type = message.type == .unspecified ? .other : TimeBlockType(message.type)
    if type == nil { violations.add(.outOfRange, at: path.field("type"), "There is no such type.") }
    let zone = try SlotFields(
      date: "", time: "", duration: 0, timeZone: message.timeZone, fold: .unspecified, defaultDuration: nil
    ).checkedRules(at: path.field("time_zone"), zones, &violations)
    let found = violations.all.count
    let recurrence = message.recurrence.map { Self.recurrence($0, at: path.child("recurrence"), &violations) }
    guard violations.all.count == found, let date, let start, let end, let reason, let type, let zone else {
      return nil
    }
    self.date = date
    self.start = start
    self.end = end
    self.reason = reason
    self.type = type
    self.zone = zone
    self.recurrence = recurrence
  }

  private static func date(_ text: String, at field: String, _ violations: inout FieldViolations) -> CivilDate? {
    SlotFields(date: text, time: "", duration: 0, timeZone: "", fold: .unspecified, defaultDuration: nil)
      .checkedDate(at: field, &violations)
  }

  private static func time(
    _ text: String, at field: String, endOfDay: Bool, _ violations: inout FieldViolations
  ) -> CivilTimeOfDay? {
    if text.isEmpty {
      violations.add(.required, at: field, "A time is required.")
      return nil
    }
    guard let time = CivilTimeOfDay(text, allowingEndOfDay: endOfDay) else {
      violations.add(.malformed, at: field, "A time is HH:MM, from 00:00 to \(endOfDay ? "24:00" : "23:59").")
      return nil
    }
    return time
  }
}

extension TimeBlockFields {
  /// The recurrence; not to be used if this noted a violation.
  private static func recurrence(
    _ message: AppointmentV1.Recurrence, at path: FieldPath, _ violations: inout FieldViolations
  ) -> Recurrence {
    let kind = Recurrence.Kind(message.type)
    if message.type == .unspecified {
      violations.add(.required, at: path.field("type"), "A recurrence needs a type.")
    } else if kind == nil {
      violations.add(.outOfRange, at: path.field("type"), "There is no such type.")
    }
    var recurrence = Recurrence(kind: kind ?? .daily)
    if let endDate = message.endDate {
      recurrence.endDate = date(endDate, at: path.field("end_date"), &violations)
    }
    for (index, day) in message.daysOfWeek.enumerated() {
      if let weekday = Weekday(rawValue: Int(day.rawValue)) {
        recurrence.daysOfWeek.insert(weekday)
      } else {
        let field = path.child("days_of_week")[index].description
        violations.add(.outOfRange, at: field, "Days of the week are 1, Monday, to 7, Sunday.")
      }
    }
    if message.interval != 0 {
      recurrence.interval = Int(message.interval)
      if !Recurrence.intervals.contains(recurrence.interval) {
        violations.add(.outOfRange, at: path.field("interval"), "An interval is 1 to 52; 0 stands for 1.")
      }
    }
    recurrence.dates = dates(message.dates, at: path.child("dates"), &violations)
    recurrence.excludedDates = dates(message.excludedDates, at: path.child("excluded_dates"), &violations)
    return recurrence
  }

  private static func dates(
    _ texts: [String], at path: FieldPath, _ violations: inout FieldViolations
  ) -> Set<CivilDate> {
    guard texts.count <= Recurrence.maxDates else {
      violations.add(.outOfRange, at: path.description, "At most \(Recurrence.maxDates) dates are allowed.")
      return []
    }
    return Set(texts.enumerated().compactMap { date($1, at: path[$0].description, &violations) })
  }
}
