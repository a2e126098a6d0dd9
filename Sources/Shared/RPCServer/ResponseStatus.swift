internal import HTTP2
internal import RPC
internal import StandardProtos

/// The end of a response, as header fields: status, message, details and trailing metadata (W28–W32).
struct ResponseStatus {
  private static let headers = FixedHeaders([(":status", "200"), ("content-type", "application/grpc")])
  /// An answer without messages may be the refusal of an encoding, and then lists what is supported (W20).
  private static let trailersOnlyHeaders = FixedHeaders([
    (":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", MessageEncoding.supported),
  ])
  private static let ok = FixedHeaders([("grpc-status", "0")])
  private static let unsupportedMediaType = FixedHeaders([(":status", "415"), ("accept", "application/grpc")])
  private static let methodNotAllowed = FixedHeaders([(":status", "405"), ("allow", "POST")])

  /// `nil` for OK without metadata.
  private let fields: HeaderFields?

  /// - Parameter limits: what the block may measure; beyond it details, then metadata, then the text are left out.
  init(_ error: RPCError?, context: ServerContext?, limits: ServerCall.Limits) {
    let trailing = context?.trailingMetadata ?? [:]
    let limit = limits.maxResponseHeaderListSize
    guard var error else {
      fields = trailing.isEmpty ? nil : Self.fields(nil, trailing, limit)
      return
    }
    if let domain = limits.errorDomain { error = error.withErrorInfo(domain: domain) }
    var metadata = error.metadata
    for entry in trailing.entries { metadata.add(entry.value, for: entry.name) }
    fields = Self.fields(error, metadata, limit)
  }

  private static func fields(_ error: RPCError?, _ metadata: Metadata, _ limit: Int) -> HeaderFields {
    var error = error
    var fields = HeaderFields()
    do throws(RPCError) {
      fields.append("grpc-status", String((error?.code ?? .ok).rawValue))
      if let error { fields.append(statusTextOf: error) }
      try fields.append(metadata)
      if fields.listSize <= limit { return fields }
      error = RPCError(
        .resourceExhausted,
        "The trailing metadata of \(fields.listSize) bytes is larger than the limit of \(limit) "
          + "(option: maxResponseHeaderListSize).")
    } catch let invalid {
      error = invalid
    }
    fields.removeAll()
    fields.append("grpc-status", String((error?.code ?? .unknown).rawValue))
    if let error { fields.append("grpc-message", PercentEncoding.encode(String(error.message.prefix(512)))) }
    return fields
  }

  func sendTrailersOnly(on stream: HTTP2Stream, of session: HTTP2Session) {
    session.submitResponseWithoutBody(stream, fixed: Self.trailersOnlyHeaders, extra: fields ?? ["grpc-status": "0"])
  }

  func sendTrailers(on stream: HTTP2Stream, of session: HTTP2Session) {
    session.finishResponse(stream, fixed: fields == nil ? Self.ok : nil, extra: fields)
  }

  /// The response headers, with the initial metadata that the handler set. Metadata that cannot be sent is left out.
  ///
  /// - Parameter listsEncodings: whether the caller is told what the server can read (W21).
  static func sendHeaders(
    _ context: ServerContext, encoding: MessageEncoding, listsEncodings: Bool, limit: Int, on stream: HTTP2Stream,
    of session: HTTP2Session
  ) {
    let metadata = context.initialMetadata
    guard !metadata.isEmpty || listsEncodings || encoding != .identity else {
      return session.submitResponse(stream, fixed: headers)
    }
    var encodings = HeaderFields()
    if encoding != .identity { encodings.append("grpc-encoding", "\(encoding.name)") }
    if listsEncodings { encodings.append("grpc-accept-encoding", "\(MessageEncoding.supported)") }
    var extra = encodings
    do throws(RPCError) { try extra.append(metadata) } catch { extra = encodings }
    session.submitResponse(stream, fixed: headers, extra: extra.listSize <= limit ? extra : encodings)
  }

  /// A bare HTTP answer for what is no gRPC call (W8), with the metadata that interceptors left for it.
  static func sendHTTP(_ status: Int, context: ServerContext, on stream: HTTP2Stream, of session: HTTP2Session) {
    var extra = HeaderFields()
    do throws(RPCError) { try extra.append(context.trailingMetadata) } catch { extra.removeAll() }
    session.submitResponseWithoutBody(
      stream, fixed: status == 415 ? unsupportedMediaType : methodNotAllowed, extra: extra)
  }
}

extension HeaderFields {
  fileprivate mutating func append(statusTextOf error: RPCError) {
    if !error.message.isEmpty { append("grpc-message", PercentEncoding.encode(error.message)) }
    if let details = error.serializedStatusDetails() { append("grpc-status-details-bin", Base64.encode(details)) }
  }
}
