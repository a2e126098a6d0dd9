/// The one error that crosses the RPC boundary: a status that is not OK.
///
/// A handler throws it (or a type that is ``RPCErrorConvertible``); a client call throws it. Anything else that a
/// handler throws becomes `UNKNOWN` with a generic text, and is logged.
package struct RPCError: Error, Sendable {
  /// Never `.ok`.
  package var code: StatusCode
  /// For the caller's developer. Goes on the wire as `grpc-message`; holds no personal data.
  package var message: String
  /// Goes on the wire in `grpc-status-details-bin` as a `google.rpc.Status`.
  package var details: [ErrorDetail]
  /// Trailing metadata that came or goes with the status.
  package var metadata: Metadata
  /// Logged, never sent.
  package var cause: (any Error)?

  package init(
    _ code: StatusCode, _ message: String, details: [ErrorDetail] = [], metadata: Metadata = [:],
    cause: (any Error)? = nil
  ) {
    self.code = code
    self.message = message
    self.details = details
    self.metadata = metadata
    self.cause = cause
  }
}

extension RPCError: CustomStringConvertible {
  package var description: String {
    details.isEmpty ? "\(code): \(message)" : "\(code): \(message) \(details)"
  }
}

/// An error of a service that knows which status it is.
package protocol RPCErrorConvertible: Error {
  var rpcError: RPCError { get }
}

extension RPCError {
  /// What a caller is told about any error: its own status where it has one, otherwise `UNKNOWN` without its text.
  package init(wrapping error: any Error, otherwise text: String = "The server failed in an unexpected way.") {
    switch error {
    case let error as RPCError: self = error
    case let error as any RPCErrorConvertible: self = error.rpcError
    case is CancellationError: self.init(.cancelled, "The call was cancelled.", cause: error)
    default: self.init(.unknown, text, cause: error)
    }
  }
}

/// One entry of `google.rpc.Status.details`: the standard types of google/rpc/error_details.proto, typed.
package enum ErrorDetail: Sendable, Hashable {
  /// `google.rpc.ErrorInfo`: a reason such as `SLOT_CONFLICT` in a domain such as `appointment.clinicavoice`.
  case errorInfo(reason: String, domain: String, metadata: [String: String] = [:])
  /// `google.rpc.BadRequest`.
  case badRequest([FieldViolation])
  /// `google.rpc.PreconditionFailure`.
  case preconditionFailure([PreconditionViolation])
  /// `google.rpc.ResourceInfo`.
  case resourceInfo(type: String, name: String, description: String = "")
  /// `google.rpc.RetryInfo`: do not repeat the call sooner than after this delay.
  case retryInfo(delay: Duration)
  /// Any other message, by its type URL (`type.googleapis.com/package.Message`) and serialized bytes.
  case other(typeURL: String, value: [UInt8])

  /// `google.rpc.BadRequest.FieldViolation`. `field` is a proto path such as `requests[3].appointment.time`.
  package struct FieldViolation: Sendable, Hashable {
    package var field: String
    package var description: String
    package var reason: String

    package init(field: String, description: String, reason: String) {
      self.field = field
      self.description = description
      self.reason = reason
    }
  }

  /// `google.rpc.PreconditionFailure.Violation`.
  package struct PreconditionViolation: Sendable, Hashable {
    package var type: String
    package var subject: String
    package var description: String

    package init(type: String, subject: String, description: String) {
      self.type = type
      self.subject = subject
      self.description = description
    }
  }
}
