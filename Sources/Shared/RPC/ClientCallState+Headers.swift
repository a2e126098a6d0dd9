// The header blocks of a response. Sources: WIRE W28–W36.
extension ClientCallState {
  /// A header block with `:status`: response headers, an informational response, or only trailers.
  package mutating func receivedHeaders(_ fields: HeaderFields, endStream: Bool) -> Reset? {
    guard case .awaitingHeaders = phase else {
      if hasEnded { return nil }  // Crossed our reset.
      finish(.internal, "The server sent a second block of response headers.")
      return .protocolError
    }
    guard !fields.isOverLimit else { return abort(.resourceExhausted, Self.overLimit("headers")) }
    guard let status = fields.value(.status).flatMap(Int.init), (100...999).contains(status) else {
      return abort(.internal, "The response has no valid :status.")
    }
    if status < 200 {
      guard endStream else { return nil }  // More follows (W34).
      return abort(.internal, "The response ended with the informational status \(status).")
    }
    let contentType = fields.first(.contentType).map { fields.valueBytes(of: $0) }
    let isGRPC = contentType.map(ContentType.isGRPC) ?? false
    let response = Response(
      httpStatus: status,
      foreignContentType: isGRPC ? nil : contentType.map { String(decoding: $0, as: UTF8.self) } ?? "none")
    if endStream {
      finish(trailers: fields, of: response)
      return hasHalfClosed ? nil : .noError
    }
    if isGRPC, status == 200 {
      if let field = fields.first(.grpcEncoding) {
        guard let encoding = fields.withValue(of: field, MessageEncoding.init(name:)) else {
          let name = fields.value(of: field).prefix(64)
          return abort(.internal, "The server compresses with '\(name)', which this client did not accept.")
        }
        deframer.encoding = encoding
      }
      do throws(RPCError) {
        initialMetadata = try Metadata(fields)
      } catch {
        return abort(error.code, error.message)
      }
    }
    phase = .receiving(response)
    return nil
  }

  /// The block that ends a response.
  package mutating func receivedTrailers(_ fields: HeaderFields) -> Reset? {
    switch phase {
    case .ended: return nil
    case .awaitingHeaders:
      finish(.internal, "The server sent trailers before headers.")
      return .protocolError
    case .receiving(let response):
      finish(trailers: fields, of: response)
      return hasHalfClosed ? nil : .noError
    }
  }

  private mutating func finish(trailers fields: HeaderFields, of response: Response) {
    guard !fields.isOverLimit else { return finish(.resourceExhausted, Self.overLimit("trailers")) }
    guard let status = fields.first(.grpcStatus) else {
      let (code, message) = response.foreignStatus
      return finish(code, message)
    }
    let text = fields.first(.grpcMessage).map { PercentEncoding.decode(fields.valueBytes(of: $0)) } ?? ""
    guard let code = StatusCode(grpcStatus: fields.valueBytes(of: status)) else {
      let shown = fields.value(of: status).prefix(32)
      return finish(.unknown, "The server's grpc-status is '\(shown)'" + (text.isEmpty ? "." : ": \(text)"))
    }
    var outcome = Outcome(code: code, message: text)
    outcome.statusDetails = fields.first(.grpcStatusDetails).flatMap { Base64.decode(fields.valueBytes(of: $0)) } ?? []
    outcome.retryPushback = fields.fields.first {
      $0.token == .other && fields.nameBytes(of: $0).elementsEqual("grpc-retry-pushback-ms".utf8)
    }.map { fields.value(of: $0) }
    do throws(RPCError) {
      outcome.trailingMetadata = try Metadata(fields)
    } catch {
      outcome = Outcome(code: error.code, message: error.message)
    }
    finish(outcome)
  }

  private static func overLimit(_ block: String) -> String {
    "The response's \(block) are larger than the limit (option: maxHeaderListSize)."
  }
}

extension ClientCallState.Response {
  /// What a response without `grpc-status` means (W33, W35).
  var foreignStatus: (StatusCode, String) {
    let code = StatusCode(httpStatus: httpStatus)
    guard let foreignContentType else {
      return (code, "The response has no grpc-status; its HTTP status is \(httpStatus).")
    }
    var message =
      "The response is not gRPC: HTTP status \(httpStatus), content-type '\(foreignContentType.prefix(128))'"
    if !quotedBody.isEmpty { message += ", body \"\(String(decoding: quotedBody, as: UTF8.self))\"" }
    return (code, message + ".")
  }
}
