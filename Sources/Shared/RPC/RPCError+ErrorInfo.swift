extension RPCError {
  /// The reason of its `ErrorInfo`; `nil` without one.
  package var errorReason: String? {
    for case .errorInfo(let reason, _, _) in details { return reason }
    return nil
  }

  /// Itself, with an `ErrorInfo` of `domain` if it has none: its reason is then that of the code. Source: DOMAIN 10.
  package func withErrorInfo(domain: String) -> RPCError {
    guard errorReason == nil else { return self }
    var error = self
    error.details.insert(.errorInfo(reason: code.defaultReason, domain: domain), at: 0)
    return error
  }
}

extension StatusCode {
  /// The reason of a failure that gave none.
  fileprivate var defaultReason: String {
    switch self {
    case .dataLoss: "RECORD_CORRUPT"
    case .invalidArgument: "VALIDATION_FAILED"
    case .permissionDenied: "ROLE_NOT_ALLOWED"
    case .unauthenticated: "CREDENTIALS_INVALID"
    case .ok, .cancelled, .unknown, .deadlineExceeded, .notFound, .alreadyExists, .resourceExhausted,
      .failedPrecondition, .aborted, .outOfRange, .unimplemented, .internal, .unavailable:
      description
    }
  }
}
