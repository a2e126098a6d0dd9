internal import CivilTime

/// What a caller of role patient may see: appointments of the linked, active records that are to come, or completed
/// (DOMAIN 1).
struct PatientVisibility: Sendable, Hashable {
  var patients: Set<String>

  func allow(_ record: AppointmentRecord, at now: Instant) -> Bool {
    patients.contains(record.patient) && record.isVisibleToPatient(at: now)
  }
}

extension AppointmentRecord {
  fileprivate func isVisibleToPatient(at now: Instant) -> Bool {
    switch status {
    case .scheduled, .confirmed: slot.end > now
    case .completed: true
    case .cancelled, .noShow: false
    }
  }
}
