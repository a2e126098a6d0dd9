internal import RPC
internal import ServiceCore

extension ServiceErrors {
  /// The errors of this service (DOMAIN 10).
  static let appointment = ServiceErrors(domain: .appointment)
}

extension AppointmentError: RPCErrorConvertible {
  /// The status of each error (DOMAIN 9 and 10).
  var rpcError: RPCError {
    let errors = ServiceErrors.appointment
    switch self {
    case .appointmentNotFound(let id):
      return errors.notFound(.appointmentNotFound, type: "Appointment", id: id)
    case .timeBlockNotFound(let id):
      return errors.notFound(.timeBlockNotFound, type: "TimeBlock", id: id)
    case .patientNotFound(let id):
      return errors.notFound(.patientNotFound, type: "Patient", id: id)
    case .patientInactive:
      return errors.make(.patientInactive, "The patient is inactive.")
    case .invalidTransition(let from, let to):
      return errors.make(
        .invalidStatusTransition, "The appointment's status does not allow this.",
        metadata: [
          "from": from.wireName, "to": to.wireName,
          "allowed": from.successors.map(\.wireName).joined(separator: ","),
        ])
    case .statusForbids(let status, let allowed):
      return errors.make(
        .invalidStatusTransition, "The appointment's status does not allow this.",
        metadata: ["from": status.wireName, "allowed": allowed.map(\.wireName).joined(separator: ",")])
    case .appointmentInPast:
      return errors.make(.appointmentInPast, "The appointment's date is past.")
    case .slotConflict(let report):
      return report.error(errors)
    case .transcriptionAlreadyLinked:
      return errors.make(.transcriptionAlreadyLinked, "The transcription belongs to another appointment.")
    case .directory(let error):
      return error.rpcError(errors)
    }
  }
}

extension PatientDirectoryError {
  fileprivate func rpcError(_ errors: ServiceErrors) -> RPCError {
    switch self {
    case .unavailable(let retryAfter, let cause):
      var error = errors.make(
        .patientServiceUnavailable, "The patient service does not answer; nothing was changed.", cause: cause)
      if let retryAfter {
        error.details = error.details.map { detail in
          if case .retryInfo = detail { .retryInfo(delay: retryAfter) } else { detail }
        }
      }
      return error
    case .callerDeadlineExceeded:
      return RPCError(.deadlineExceeded, "The call's deadline is over.")
    case .cancelled:
      return RPCError(.cancelled, "The call was cancelled.")
    case .broken(let cause):
      return errors.internalFault(cause: cause)
    }
  }
}
