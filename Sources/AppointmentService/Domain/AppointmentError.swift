internal import RPC
internal import ServiceCore

/// Why a request about appointments cannot be done, beyond what its fields say.
enum AppointmentError: Error, Sendable {
  /// Unknown, or outside the caller's partition: indistinguishable (DOMAIN 1).
  case appointmentNotFound(id: String)
  case timeBlockNotFound(id: String)
  /// Unknown to the patient service, or another clinician's.
  case patientNotFound(id: String)
  case patientInactive
  case invalidTransition(from: AppointmentStatus, to: AppointmentStatus)
  /// The status forbids another change than one of status; `allowed` are those that permit it.
  case statusForbids(AppointmentStatus, allowed: [AppointmentStatus])
  /// Reinstating what is past.
  case appointmentInPast
  case slotConflict(SlotConflictReport)
  case transcriptionAlreadyLinked
  case directory(PatientDirectoryError)
}
