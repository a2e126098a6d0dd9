internal import CivilTime
internal import Contract
internal import ServiceCore

/// An appointment that is asked for, checked as far as that needs neither clock nor store (DOMAIN 4).
struct BookingDraft: Sendable, Hashable {
  var patient: ResourceID
  var slot: AppointmentSlot
  var rules: TimeZoneRules
  var type: AppointmentType
  var notes: String?
  var transcriptionID: String?
}

extension BookingDraft {
  /// Reads a message; output-only fields are ignored.
  ///
  /// - Parameter path: where the message is in its request, such as `appointment` or `requests[3].appointment`.
  /// - Returns: `nil` after having noted all that is wrong with it.
  /// - Throws: when the machine's time zones cannot be read.
  init?(
    _ message: AppointmentV1.Appointment?, at path: FieldPath, zones: SlotZones,
    violations: inout FieldViolations
  ) throws {
    guard let message else {
      violations.add(.required, at: path.description, "An appointment is required.")
      return nil
    }
    let patient = violations.id(message.patientId, at: path.field("patient_id"))
    let type = violations.appointmentType(message.type, at: path.field("type"))
    let slot = try SlotFields(
      date: message.date, time: message.time, duration: message.duration, timeZone: message.timeZone,
      fold: message.fold, defaultDuration: type?.defaultDuration
    ).slot(at: path, zones: zones, violations: &violations)
    let notes = message.notes.map { violations.text($0, .notes, at: path.field("notes")) }
    let transcription = violations.transcriptionID(message.transcriptionId, at: path.field("transcription_id"))
    guard let patient, let type, let slot else { return nil }
    self.init(
      patient: patient, slot: slot.slot, rules: slot.rules, type: type,
      notes: notes.flatMap { $0 }.flatMap { $0.isEmpty ? nil : $0 }, transcriptionID: transcription)
  }

  /// Notes it when the local date is before today in the appointment's zone (DOMAIN 10, "Past").
  func checkNotPast(at now: Instant, path: FieldPath, violations: inout FieldViolations) {
    if slot.isPast(at: now, in: rules) {
      violations.add(.appointmentInPast, at: path.field("date"), "The date is past; allow_past permits it.")
    }
  }
}

extension AppointmentSlot {
  /// "Past" is by the date: what begins earlier today is not past (DOMAIN 10).
  func isPast(at now: Instant, in rules: TimeZoneRules) -> Bool { date < rules.date(at: now) }
}

extension FieldViolations {
  /// A required type; `nil` after having noted what is wrong with it.
  mutating func appointmentType(_ message: AppointmentV1.AppointmentType, at field: String) -> AppointmentType? {
    if message == .unspecified {
      add(.required, at: field, "A type is required.")
      return nil
    }
    guard let type = AppointmentType(message) else {
      add(.outOfRange, at: field, "There is no such type.")
      return nil
    }
    return type
  }

  /// An optional transcription: at most 128 printable ASCII characters (DOMAIN 4); empty is absent.
  mutating func transcriptionID(_ text: String?, at field: String) -> String? {
    guard let text, !text.isEmpty else { return nil }
    if text.utf8.count > 128 {
      add(.tooLong, at: field, "It must have at most 128 characters.")
      return nil
    }
    guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      add(.malformed, at: field, "Only printable ASCII characters are allowed.")
      return nil
    }
    return text
  }
}
