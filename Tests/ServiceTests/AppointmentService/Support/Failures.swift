import Contract
import RPC
import StandardProtos
import Testing

/// The status that a call ends with.
func failure(
  _ location: SourceLocation = #_sourceLocation, of call: () async throws -> some Any
) async throws -> RPCError {
  do {
    _ = try await call()
  } catch {
    return RPCError(wrapping: error)
  }
  Issue.record("the call succeeded", sourceLocation: location)
  throw NoFailure()
}

struct NoFailure: Error {}

extension RPCError {
  var reason: String? {
    for case .errorInfo(let reason, _, _) in details { return reason }
    return nil
  }

  var info: [String: String] {
    for case .errorInfo(_, _, let metadata) in details { return metadata }
    return [:]
  }

  /// `field REASON` of each violation.
  var fields: [String] {
    for case .badRequest(let violations) in details { return violations.map { "\($0.field) \($0.reason)" } }
    return []
  }

  var conflicts: [ErrorDetail.PreconditionViolation] {
    for case .preconditionFailure(let violations) in details { return violations }
    return []
  }

  var slotConflict: AppointmentV1.SlotConflict? {
    for case .other("type.googleapis.com/clinicavoice.appointment.v1.SlotConflict", let value) in details {
      return try? value.withUnsafeBytes { try AppointmentV1.SlotConflict(serialized: $0) }
    }
    return nil
  }
}
