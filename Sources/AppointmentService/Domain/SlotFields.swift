internal import CivilTime
internal import Contract
internal import ServiceCore

/// The zones that a caller's wall clock times can be in.
struct SlotZones: Sendable {
  var database: TimeZoneDatabase
  /// What an empty name stands for.
  var defaultID: String
}

/// The fields of a request that say when an appointment is to be, and for how long.
struct SlotFields {
  var date: String
  var time: String
  /// 0: the default.
  var duration: Int32
  var timeZone: String
  var fold: AppointmentV1.Fold
  /// `nil` when it is not known, since the type is wrong.
  var defaultDuration: Int?

  static let durations = 15...1440
  static let years = 1900...9999

  /// The slot they mean; `nil` after having noted all that is wrong with them.
  func slot(
    at path: FieldPath, zones: SlotZones, violations: inout FieldViolations
  ) throws -> (slot: AppointmentSlot, rules: TimeZoneRules)? {
    let date = checkedDate(at: path.field("date"), &violations)
    let time = checkedTime(at: path.field("time"), &violations)
    let duration = checkedDuration(at: path.field("duration"), &violations)
    let rules = try checkedRules(at: path.field("time_zone"), zones, &violations)
    let fold = AppointmentSlot.Fold(fold)
    if fold == nil { violations.add(.outOfRange, at: path.field("fold"), "There is no such fold.") }
    guard let date, let time, let rules, let fold, let local = CivilDateTime(date, time) else { return nil }
    var slot = AppointmentSlot(
      date: date, time: time, duration: duration ?? 0, timeZone: rules.id, fold: .unspecified,
      start: Instant(microseconds: 0))
    switch rules.resolve(local) {
    case .unique(let start): slot.start = start
    case .fold(let earlier, let later):
      slot.start = fold == .later ? later : earlier
      slot.fold = fold == .later ? .later : .earlier
    case .gap(let firstValid):
      let valid = rules.local(at: firstValid)
      violations.add(
        .nonexistentLocalTime, at: path.field("time"),
        "The clocks are set forward over this time; the first valid time is \(valid).",
        metadata: ["first_valid_time": "\(valid.date)T\(valid.time)"])
      return nil
    }
    guard duration != nil else { return nil }
    // What ends after the year 9999 has no RFC 3339 form.
    guard Instant.secondsOfCalendar.contains(slot.end.seconds) else {
      violations.add(.outOfRange, at: path.field("date"), "It would end after the year 9999.")
      return nil
    }
    return (slot, rules)
  }

  func checkedDate(at field: String, _ violations: inout FieldViolations) -> CivilDate? {
    if date.isEmpty {
      violations.add(.required, at: field, "A date is required.")
      return nil
    }
    guard let value = CivilDate(date) else {
      violations.add(.malformed, at: field, "A date is YYYY-MM-DD, and a day of the calendar.")
      return nil
    }
    guard Self.years.contains(value.year) else {
      violations.add(.outOfRange, at: field, "The year must be 1900 to 9999.")
      return nil
    }
    return value
  }

  func checkedTime(at field: String, _ violations: inout FieldViolations) -> CivilTimeOfDay? {
    if time.isEmpty {
      violations.add(.required, at: field, "A time is required.")
      return nil
    }
    guard let value = CivilTimeOfDay(time) else {
      violations.add(.malformed, at: field, "A time is HH:MM, from 00:00 to 23:59.")
      return nil
    }
    return value
  }

  func checkedDuration(at field: String, _ violations: inout FieldViolations) -> Int? {
    if duration == 0 { return defaultDuration }
    guard Self.durations.contains(Int(duration)), duration % 15 == 0 else {
      violations.add(.outOfRange, at: field, "A duration is a multiple of 15 minutes from 15 to 1440.")
      return nil
    }
    return Int(duration)
  }

  func checkedRules(
    at field: String, _ zones: SlotZones, _ violations: inout FieldViolations
  ) throws -> TimeZoneRules? {
    do throws(TimeZoneError) {
      return try zones.database.rules(for: timeZone.isEmpty ? zones.defaultID : timeZone)
    } catch {
      guard case .unknown = error, !timeZone.isEmpty else {
        throw ServiceErrors.appointment.internalFault(cause: error)
      }
      violations.add(.unknownTimeZone, at: field, "A time zone is an IANA name such as America/Toronto.")
      return nil
    }
  }
}
