package import ProtobufBridge
package import RPC

// The rich error model of gRPC: details travel as a google.rpc.Status in `grpc-status-details-bin`. Source: WIRE W32.

extension RPCError {
  /// The value of `grpc-status-details-bin`; `nil` when there are no details.
  package func serializedStatusDetails() -> [UInt8]? {
    guard !details.isEmpty else { return nil }
    let status = GoogleRPC.Status.with {
      $0.code = Int32(code.rawValue)
      $0.message = message
      $0.details = details.compactMap { GoogleProtobuf.AnyMessage($0) }
    }
    return try? status.serializedBytes()
  }

  /// A received status.
  ///
  /// Code and message are those of `grpc-status` and `grpc-message`. The details are dropped when the bytes do not
  /// parse or speak of another code.
  package init(code: StatusCode, message: String, statusDetails: [UInt8]) {
    self.init(code, message)
    guard let status = try? GoogleRPC.Status(serializedBytes: statusDetails), status.code == Int32(code.rawValue) else {
      return
    }
    details = status.details.map(ErrorDetail.init)
  }
}

extension GoogleProtobuf.AnyMessage {
  /// Any message under its type URL.
  package init(packing message: some ProtobufMessage) throws(WireMessageError) {
    self.init()
    typeUrl = Self.typeURLPrefix + type(of: message).protoName
    value = try message.serializedBytes()
  }

  /// The full name of the message inside: what follows the last slash of the type URL.
  package var messageName: Substring {
    typeUrl.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
  }

  /// The message inside; `nil` when it is of another type or does not parse.
  package func unpacked<Message: ProtobufMessage>(as type: Message.Type) -> Message? {
    messageName == Message.protoName ? try? Message(serializedBytes: value) : nil
  }

  private static var typeURLPrefix: String { "type.googleapis.com/" }

  fileprivate init?(_ detail: ErrorDetail) {
    do {
      switch detail {
      case .errorInfo(let reason, let domain, let metadata):
        try self.init(
          packing: GoogleRPC.ErrorInfo.with {
            $0.reason = reason
            $0.domain = domain
            $0.metadata = metadata
          })
      case .badRequest(let violations):
        try self.init(packing: GoogleRPC.BadRequest.with { $0.fieldViolations = violations.map { .init($0) } })
      case .preconditionFailure(let violations):
        try self.init(packing: GoogleRPC.PreconditionFailure.with { $0.violations = violations.map { .init($0) } })
      case .resourceInfo(let type, let name, let description):
        try self.init(
          packing: GoogleRPC.ResourceInfo.with {
            $0.resourceType = type
            $0.resourceName = name
            $0.description = description
          })
      case .retryInfo(let delay):
        try self.init(packing: GoogleRPC.RetryInfo.with { $0.retryDelay = GoogleProtobuf.Duration(delay) })
      case .other(let typeURL, let value):
        self.init()
        self.typeUrl = typeURL
        self.value = value
      }
    } catch {
      // Only a detail beyond 2 GiB cannot be encoded; the status goes without it.
      return nil
    }
  }
}

extension ErrorDetail {
  /// A detail as it came; what is not one of the typed ones, or does not parse, is kept as bytes.
  fileprivate init(_ any: GoogleProtobuf.AnyMessage) {
    if let info = any.unpacked(as: GoogleRPC.ErrorInfo.self) {
      self = .errorInfo(reason: info.reason, domain: info.domain, metadata: info.metadata)
    } else if let request = any.unpacked(as: GoogleRPC.BadRequest.self) {
      self = .badRequest(
        request.fieldViolations.map { .init(field: $0.field, description: $0.description, reason: $0.reason) })
    } else if let failure = any.unpacked(as: GoogleRPC.PreconditionFailure.self) {
      self = .preconditionFailure(
        failure.violations.map { .init(type: $0.type, subject: $0.subject, description: $0.description) })
    } else if let resource = any.unpacked(as: GoogleRPC.ResourceInfo.self) {
      self = .resourceInfo(
        type: resource.resourceType, name: resource.resourceName, description: resource.description)
    } else if let retry = any.unpacked(as: GoogleRPC.RetryInfo.self) {
      self = .retryInfo(delay: retry.retryDelay?.duration ?? .zero)
    } else {
      self = .other(typeURL: any.typeUrl, value: any.value)
    }
  }
}

extension GoogleRPC.BadRequest.FieldViolation {
  fileprivate init(_ violation: ErrorDetail.FieldViolation) {
    self.init()
    field = violation.field
    description = violation.description
    reason = violation.reason
  }
}

extension GoogleRPC.PreconditionFailure.Violation {
  fileprivate init(_ violation: ErrorDetail.PreconditionViolation) {
    self.init()
    type = violation.type
    subject = violation.subject
    description = violation.description
  }
}
