internal import CivilTime

/// The changes that an appointment goes through. Each counts as one version and never rewrites history.
extension AppointmentRecord {
  /// A new appointment: always scheduled, with its first history entries.
  init(
    id: String, clinician: String, patient: String, slot: AppointmentSlot, type: AppointmentType, notes: String?,
    transcriptionID: String?, by principal: String, at now: Instant
  ) {
    self.init(
      id: id, clinician: clinician, patient: patient, slot: slot, type: type, status: .scheduled, notes: notes,
      transcriptionID: transcriptionID, cancellation: nil, histories: Histories(), createdAt: now,
      createdBy: principal, updatedAt: now, updatedBy: principal, version: 1)
    histories.append(StatusChange(status: .scheduled), to: \.status, by: principal, at: now)
    if let notes, !notes.isEmpty {
      histories.append(NotesChange(notes: notes), to: \.notes, by: principal, at: now)
    }
  }

  /// The appointment in another status. The state machine must have allowed the change.
  func changing(
    status next: AppointmentStatus, reason: String?, by principal: String, at now: Instant
  ) -> AppointmentRecord {
    var changed = self
    let time = changed.touch(by: principal, at: now)
    changed.status = next
    changed.cancellation =
      next == .cancelled ? Cancellation(reason: reason ?? "", at: time, by: principal) : nil
    changed.histories.append(StatusChange(status: next, reason: reason), to: \.status, by: principal, at: time)
    return changed
  }

  /// The appointment at another time, which its reschedule history remembers; the status stays.
  func moving(to slot: AppointmentSlot, by principal: String, at now: Instant) -> AppointmentRecord {
    var changed = self
    let time = changed.touch(by: principal, at: now)
    changed.slot = slot
    changed.histories.append(
      RescheduleChange(old: self.slot.placement, new: slot.placement), to: \.reschedules, by: principal, at: time)
    return changed
  }

  /// The appointment with other details. Changed notes, cleared ones too, are an entry of their history.
  ///
  /// - Returns: the same version when nothing changes (DOMAIN 8).
  func changing(_ details: AppointmentDetails, by principal: String, at now: Instant) -> AppointmentRecord {
    guard details != self.details else { return self }
    var changed = self
    let time = changed.touch(by: principal, at: now)
    changed.details = details
    if details.notes != notes {
      changed.histories.append(NotesChange(notes: details.notes ?? ""), to: \.notes, by: principal, at: time)
    }
    return changed
  }

  /// Counts a mutation; `updatedAt` always grows (DOMAIN 2), even if the clock does not.
  private mutating func touch(by principal: String, at now: Instant) -> Instant {
    updatedAt = max(now, updatedAt.adding(microseconds: 1))
    updatedBy = principal
    version += 1
    return updatedAt
  }
}

/// What UpdateAppointment may change (DOMAIN 4).
struct AppointmentDetails: Sendable, Hashable {
  var notes: String?
  var type: AppointmentType
  var transcriptionID: String?
}

extension AppointmentRecord {
  var details: AppointmentDetails {
    get { AppointmentDetails(notes: notes, type: type, transcriptionID: transcriptionID) }
    set { (notes, type, transcriptionID) = (newValue.notes, newValue.type, newValue.transcriptionID) }
  }
}

extension AppointmentSlot {
  fileprivate var placement: RescheduleChange.Placement {
    RescheduleChange.Placement(start: start, duration: duration, timeZone: timeZone)
  }
}

extension AppointmentRecord.Histories {
  mutating func append<Change>(
    _ change: Change, to kind: WritableKeyPath<Self, [HistoryEntry<Change>]>, by principal: String, at time: Instant
  ) {
    count += 1
    self[keyPath: kind].append(HistoryEntry(sequence: count, change: change, at: time, by: principal))
  }
}
