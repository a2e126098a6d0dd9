internal import RPC
internal import ServiceCore

/// What can be wrong with a call beyond its fields. Source: DOMAIN 10.
enum PatientError: Error, Sendable, Hashable {
  /// Unknown or outside of the caller's partition: nobody can tell which. `id` is what was asked for.
  case notFound(id: String)
  case mrnAlreadyExists
  case patientInactive
  case patientAlreadyActive
}

extension PatientError: RPCErrorConvertible {
  var rpcError: RPCError {
    let errors = ServiceErrors.patient
    return switch self {
    case .notFound(let id): errors.notFound(.patientNotFound, type: "Patient", id: id)
    case .mrnAlreadyExists: errors.make(.mrnAlreadyExists, "The medical record number is in use.")
    case .patientInactive: errors.make(.patientInactive, "The patient is inactive.")
    case .patientAlreadyActive: errors.make(.patientAlreadyActive, "The patient is active already.")
    }
  }
}

extension ServiceErrors {
  /// The errors of this service.
  static let patient = ServiceErrors(domain: .patient)
}
