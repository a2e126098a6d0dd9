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

  /// Counts a mutation; `updatedAt` always grows (DOMAIN 2), even if the clock does not.
  private mutating func touch(by principal: String, at now: Instant) -> Instant {
    updatedAt = max(now, updatedAt.adding(microseconds: 1))
    updatedBy = principal
    version += 1
    return updatedAt
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
