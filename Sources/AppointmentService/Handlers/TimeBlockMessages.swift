internal import CivilTime
internal import Contract
internal import StandardProtos

/// The contract's words for time blocks.
extension TimeBlockType {
  init?(_ message: AppointmentV1.TimeBlockType) {
    guard let type = Self.allCases.first(where: { $0.message == message }) else { return nil }
    self = type
  }

  var message: AppointmentV1.TimeBlockType {
    switch self {
    case .breakTime: .break
    case .admin: .admin
    case .meeting: .meeting
    case .other: .other
    }
  }
}

extension Recurrence.Kind {
  init?(_ message: AppointmentV1.RecurrenceType) {
    guard let kind = Self.allCases.first(where: { $0.message == message }) else { return nil }
    self = kind
  }

  var message: AppointmentV1.RecurrenceType {
    switch self {
    case .daily: .daily
    case .weekly: .weekly
    case .custom: .custom
    }
  }
}

extension AppointmentV1.Recurrence {
  init(_ recurrence: Recurrence) {
    self.init()
    type = recurrence.kind.message
    endDate = recurrence.endDate?.description
    daysOfWeek = recurrence.daysOfWeek.map { Int32($0.rawValue) }.sorted().map {
      AppointmentV1.DayOfWeek(rawValue: $0)
    }
    interval = Int32(clamping: recurrence.interval)
    dates = recurrence.dates.sorted().map(\.description)
    excludedDates = recurrence.excludedDates.sorted().map(\.description)
  }
}

extension AppointmentV1.TimeBlock {
  init(_ record: TimeBlockRecord) {
    self.init()
    let rule = record.content.rule
    id = record.id
    userId = record.clinician
    date = rule.date.description
    startTime = rule.start.description
    endTime = rule.end.description
    recurrence = rule.recurrence.map { AppointmentV1.Recurrence($0) }
    reason = record.content.reason
    type = record.content.type.message
    createdAt = GoogleProtobuf.Timestamp(record.createdAt)
    createdBy = record.createdBy
    updatedAt = GoogleProtobuf.Timestamp(record.updatedAt)
    updatedBy = record.updatedBy
    version = record.version
    etag = record.etag.description
    timeZone = rule.timeZone
  }
}

extension AppointmentV1.TimeInterval {
  /// What of a range has a timestamp; the contract's timestamps end with the year 9999.
  init?(_ range: Range<Instant>) {
    let bound = Instant(seconds: Instant.secondsOfCalendar.upperBound)
    guard range.lowerBound < bound else { return nil }
    self.init()
    startTime = GoogleProtobuf.Timestamp(range.lowerBound)
    endTime = GoogleProtobuf.Timestamp(min(range.upperBound, bound))
  }
}
