package import RPC

/// The domain of `google.rpc.ErrorInfo`: which service says it. Source: DOMAIN 10.
package enum ServiceDomain: String, Sendable, Hashable, CaseIterable {
  case patient = "patient.clinicavoice"
  case appointment = "appointment.clinicavoice"
}

/// Why a call failed: the `reason` of `google.rpc.ErrorInfo`. Each has exactly one status code.
///
/// Source: the table of DOMAIN 10. What is wrong with a single field is a ``FieldReason``.
package enum ErrorReason: String, Sendable, Hashable, CaseIterable {
  case credentialsMissing = "CREDENTIALS_MISSING"
  case credentialsInvalid = "CREDENTIALS_INVALID"
  case credentialsExpired = "CREDENTIALS_EXPIRED"
  case roleNotAllowed = "ROLE_NOT_ALLOWED"
  case partitionNotAllowed = "PARTITION_NOT_ALLOWED"
  case validationFailed = "VALIDATION_FAILED"
  case requestIdReused = "REQUEST_ID_REUSED"
  case changeTokenInvalid = "CHANGE_TOKEN_INVALID"
  case changeTokenExpired = "CHANGE_TOKEN_EXPIRED"
  case patientNotFound = "PATIENT_NOT_FOUND"
  case appointmentNotFound = "APPOINTMENT_NOT_FOUND"
  case timeBlockNotFound = "TIME_BLOCK_NOT_FOUND"
  case invitationNotFound = "INVITATION_NOT_FOUND"
  case mrnAlreadyExists = "MRN_ALREADY_EXISTS"
  case transcriptionAlreadyLinked = "TRANSCRIPTION_ALREADY_LINKED"
  case slotConflict = "SLOT_CONFLICT"
  case blockConflictsWithAppointments = "BLOCK_CONFLICTS_WITH_APPOINTMENTS"
  case invalidStatusTransition = "INVALID_STATUS_TRANSITION"
  case patientInactive = "PATIENT_INACTIVE"
  case patientAlreadyActive = "PATIENT_ALREADY_ACTIVE"
  case accountAlreadyActive = "ACCOUNT_ALREADY_ACTIVE"
  case accountInactive = "ACCOUNT_INACTIVE"
  case invitationExpired = "INVITATION_EXPIRED"
  case appointmentInPast = "APPOINTMENT_IN_PAST"
  case etagMismatch = "ETAG_MISMATCH"
  case contention = "CONTENTION"
  case patientServiceUnavailable = "PATIENT_SERVICE_UNAVAILABLE"
  case storeUnavailable = "STORE_UNAVAILABLE"
  case draining = "DRAINING"
  case messageTooLarge = "MESSAGE_TOO_LARGE"
  case rateLimited = "RATE_LIMITED"
  case overloaded = "OVERLOADED"
  case recordCorrupt = "RECORD_CORRUPT"
  case `internal` = "INTERNAL"
}

extension ErrorReason {
  package var code: StatusCode {
    switch self {
    case .credentialsMissing, .credentialsInvalid, .credentialsExpired: .unauthenticated
    case .roleNotAllowed, .partitionNotAllowed: .permissionDenied
    case .validationFailed, .requestIdReused, .changeTokenInvalid: .invalidArgument
    case .patientNotFound, .appointmentNotFound, .timeBlockNotFound, .invitationNotFound: .notFound
    case .mrnAlreadyExists, .transcriptionAlreadyLinked: .alreadyExists
    case .slotConflict, .blockConflictsWithAppointments, .invalidStatusTransition, .patientInactive,
      .patientAlreadyActive, .accountAlreadyActive, .accountInactive, .invitationExpired, .appointmentInPast,
      .changeTokenExpired:
      .failedPrecondition
    case .etagMismatch, .contention: .aborted
    case .patientServiceUnavailable, .storeUnavailable, .draining: .unavailable
    case .messageTooLarge, .rateLimited, .overloaded: .resourceExhausted
    case .recordCorrupt: .dataLoss
    case .internal: .internal
    }
  }

  /// How long a caller is asked to wait before it repeats the call; `nil` where repeating it is no remedy.
  var retryDelay: Duration? {
    switch code {
    case .unavailable: .seconds(1)
    case .resourceExhausted: self == .messageTooLarge ? nil : .milliseconds(200)
    default: nil
    }
  }
}

/// What is wrong with one field: the `reason` of a `google.rpc.BadRequest.FieldViolation`. Source: DOMAIN 10.
package enum FieldReason: String, Sendable, Hashable, CaseIterable {
  case required = "REQUIRED"
  case malformed = "MALFORMED"
  case outOfRange = "OUT_OF_RANGE"
  case tooLong = "TOO_LONG"
  case immutable = "FIELD_IMMUTABLE"
  case notUpdatable = "FIELD_NOT_UPDATABLE"
  case unknownField = "UNKNOWN_FIELD"
  case pageTokenInvalid = "PAGE_TOKEN_INVALID"
  case nonexistentLocalTime = "NONEXISTENT_LOCAL_TIME"
  case unknownTimeZone = "UNKNOWN_TIME_ZONE"
  case recurrenceEmpty = "RECURRENCE_EMPTY"
  case itemTooLarge = "ITEM_TOO_LARGE"
  case appointmentInPast = "APPOINTMENT_IN_PAST"
}
