internal import CivilTime
internal import Contract
internal import ServiceCore
internal import StandardProtos

/// The contract's words for the values of this service.
extension AppointmentStatus {
  init?(_ message: AppointmentV1.AppointmentStatus) {
    guard let status = Self.allCases.first(where: { $0.message == message }) else { return nil }
    self = status
  }

  var message: AppointmentV1.AppointmentStatus {
    switch self {
    case .scheduled: .scheduled
    case .confirmed: .confirmed
    case .completed: .completed
    case .cancelled: .cancelled
    case .noShow: .noShow
    }
  }

  /// The name of DOMAIN 4's table, such as `NO_SHOW`.
  var wireName: String {
    switch self {
    case .scheduled: "SCHEDULED"
    case .confirmed: "CONFIRMED"
    case .completed: "COMPLETED"
    case .cancelled: "CANCELLED"
    case .noShow: "NO_SHOW"
    }
  }
}

extension AppointmentType {
  init?(_ message: AppointmentV1.AppointmentType) {
    guard let type = Self.allCases.first(where: { $0.message == message }) else { return nil }
    self = type
  }

  var message: AppointmentV1.AppointmentType {
    switch self {
    case .consultation: .consultation
    case .followUp: .followUp
    case .procedure: .procedure
    case .urgent: .urgent
    }
  }
}

extension AppointmentSlot.Fold {
  /// `nil` for a value that the contract does not name.
  init?(_ message: AppointmentV1.Fold) {
    switch message {
    case .unspecified: self = .unspecified
    case .earlier: self = .earlier
    case .later: self = .later
    default: return nil
    }
  }

  var message: AppointmentV1.Fold {
    switch self {
    case .unspecified: .unspecified
    case .earlier: .earlier
    case .later: .later
    }
  }
}

extension AppointmentV1.Slot {
  init(_ slot: AppointmentSlot) {
    self.init()
    date = slot.date.description
    time = slot.time.description
    timeZone = slot.timeZone
    fold = slot.fold.message
    startTime = GoogleProtobuf.Timestamp(slot.start)
    endTime = GoogleProtobuf.Timestamp(slot.end)
  }
}

extension AppointmentV1.StatusChange {
  init(_ entry: HistoryEntry<StatusChange>) {
    self.init()
    status = entry.change.status.message
    timestamp = GoogleProtobuf.Timestamp(entry.at)
    changedBy = entry.by
    reason = entry.change.reason
  }
}

extension AppointmentV1.NotesChange {
  init(_ entry: HistoryEntry<NotesChange>) {
    self.init()
    notes = entry.change.notes
    timestamp = GoogleProtobuf.Timestamp(entry.at)
    changedBy = entry.by
  }
}

extension AppointmentV1.RescheduleChange {
  init(_ entry: HistoryEntry<RescheduleChange>) {
    self.init()
    oldStartTime = GoogleProtobuf.Timestamp(entry.change.old.start)
    oldDuration = Int32(clamping: entry.change.old.duration)
    oldTimeZone = entry.change.old.timeZone
    newStartTime = GoogleProtobuf.Timestamp(entry.change.new.start)
    newDuration = Int32(clamping: entry.change.new.duration)
    newTimeZone = entry.change.new.timeZone
    timestamp = GoogleProtobuf.Timestamp(entry.at)
    changedBy = entry.by
  }
}

extension AppointmentV1.Appointment {
  init(_ record: AppointmentRecord) {
    self.init()
    id = record.id
    userId = record.clinician
    patientId = record.patient
    date = record.slot.date.description
    time = record.slot.time.description
    duration = Int32(clamping: record.slot.duration)
    type = record.type.message
    status = record.status.message
    statusHistory = record.histories.status.map { AppointmentV1.StatusChange($0) }
    notes = record.notes
    notesHistory = record.histories.notes.map { AppointmentV1.NotesChange($0) }
    transcriptionId = record.transcriptionID
    cancellationReason = record.cancellation?.reason
    cancelledAt = record.cancellation.map { GoogleProtobuf.Timestamp($0.at) }
    cancelledBy = record.cancellation?.by
    createdAt = GoogleProtobuf.Timestamp(record.createdAt)
    updatedAt = GoogleProtobuf.Timestamp(record.updatedAt)
    createdBy = record.createdBy
    updatedBy = record.updatedBy
    version = record.version
    etag = record.etag.description
    timeZone = record.slot.timeZone
    fold = record.slot.fold.message
    startTime = GoogleProtobuf.Timestamp(record.slot.start)
    endTime = GoogleProtobuf.Timestamp(record.slot.end)
    rescheduleHistory = record.histories.reschedules.map { AppointmentV1.RescheduleChange($0) }
  }

  /// What a patient is shown: nothing of what the contract marks "not for patients" (DOMAIN 1).
  func redactedForPatient() -> Self {
    var shown = self
    shown.notes = nil
    shown.notesHistory = []
    shown.cancellationReason = nil
    shown.createdBy = ""
    shown.updatedBy = ""
    shown.cancelledBy = nil
    for index in shown.statusHistory.indices {
      shown.statusHistory[index].changedBy = ""
      shown.statusHistory[index].reason = nil
    }
    for index in shown.rescheduleHistory.indices { shown.rescheduleHistory[index].changedBy = "" }
    return shown
  }
}

extension AppointmentRecord {
  var etag: Etag { Etag(version: version) }
}
