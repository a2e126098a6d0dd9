internal import NIOCore

/// What this service needs to know about patients, in its own words (DOMAIN 9).
protocol PatientDirectory: Sendable {
  /// Says of each patient whether the clinician may book for them, in the order of `patients` (1…100).
  func standing(
    of patients: [String], clinician: String, for caller: PatientDirectoryCaller
  ) async throws(PatientDirectoryError) -> [PatientStanding]

  /// The patients of one clinician whose portal identity is `identity` and who may use the portal: patient and account
  /// are active (DOMAIN 1).
  func linkedPatients(
    identity: String, clinician: String, for caller: PatientDirectoryCaller
  ) async throws(PatientDirectoryError) -> Set<String>
}

enum PatientStanding: Sendable, Hashable {
  case active
  case inactive
  /// There is no such patient, or it is another clinician's: the same to us.
  case unknown
}

/// On whose behalf the directory is asked, and for how long.
struct PatientDirectoryCaller: Sendable {
  /// When the caller stops waiting; `nil`: it does not say.
  var deadline: NIODeadline?
  /// The caller's own token, which the patient service verifies again (DESIGN 7). Never logged.
  var token: String?
  /// Names the caller's call; it travels along, so that the logs of both services tell of one.
  var correlationID: String?
}

/// Why the directory gave no answer. Nothing may be written then.
enum PatientDirectoryError: Error, Sendable {
  /// Unreachable, overloaded or slower than our budget.
  case unavailable(retryAfter: Duration?, cause: any Error)
  /// The caller's own deadline is over.
  case callerDeadlineExceeded
  /// The caller has gone.
  case cancelled
  /// It answered what it must not answer, or refused us: a fault between the services.
  case broken(cause: any Error)
}
