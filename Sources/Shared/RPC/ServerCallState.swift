package import NIOCore

/// The rules of one call on the server, from its first header to its status. Pure: events in, decisions out.
///
/// The driver calls ``receivedHeaders(_:)`` once, routes the path, then ``start(_:)``; afterwards ``next(from:)`` whenever
/// bytes came or a reader asks, and the `send` functions before it puts something on the wire.
package struct ServerCallState {
  /// What a request's headers ask for.
  package struct Request: Sendable {
    package var timeout: Duration?
    package var authority = ""
    package var metadata = Metadata()
    /// Of the request's messages that are marked as compressed.
    package var encoding = MessageEncoding.identity
    /// What the caller can read.
    package var acceptedEncodings = AcceptedEncodings()

    package init() {}
  }

  package enum OnHeaders {
    /// Route it by the block's `:path`.
    case route(Request)
    /// No gRPC call: a bare HTTP answer with END_STREAM.
    case rejectHTTP(status: Int)
    /// A Trailers-Only answer.
    case reject(RPCError)
  }

  /// What the request side has for the handler.
  package enum OnRequest: Equatable {
    case message(ByteBuffer)
    /// More bytes are needed.
    case wait
    /// The caller half-closed; no message follows.
    case end
  }

  private enum RequestSide {
    /// Not routed yet, or rejected.
    case idle
    /// `received` messages so far; `single` when the method takes exactly one.
    case open(single: Bool, received: Int)
    case halfClosed(single: Bool, received: Int)
    /// Failed or finished: what still comes is dropped.
    case over
  }

  private enum ResponseSide {
    case idle, headersSent, finished
  }

  private var request: RequestSide = .idle
  private var response: ResponseSide = .idle
  private var deframer: MessageDeframer
  /// The one message of a single-request call, kept until the half-close (W27).
  private var held: ByteBuffer?

  package init(maxMessageLength: Int = MessageDeframer.defaultMaxMessageLength) {
    deframer = MessageDeframer(maxMessageLength: maxMessageLength)
  }

  // MARK: Request

  /// Checks what can be checked before routing (W6–W9, W12–W16, W20).
  ///
  /// - Parameter cache: of the connection.
  package func receivedHeaders(_ fields: HeaderFields, cache: inout MetadataCache) -> OnHeaders {
    if fields.isOverLimit {
      return .reject(
        RPCError(
          .resourceExhausted, "The request's headers are larger than the limit (option: maxHeaderListSize)."))
    }
    var result = Request()
    var isPost = false
    var isGRPC = false
    var host: HeaderFields.Field?
    var authority: HeaderFields.Field?
    var hasCustomMetadata = false
    var failure: RPCError?
    for field in fields.fields {
      switch field.token {
      case .method: isPost = fields.value(of: field, is: "POST")
      case .contentType:
        isGRPC =
          fields.value(of: field, is: "application/grpc") || ContentType.isGRPC(fields.valueBytes(of: field))
      case .authority: authority = field
      case .host: host = field
      case .grpcTimeout:
        result.timeout = GRPCTimeout.parse(fields.valueBytes(of: field))
        if result.timeout == nil { failure = RPCError(.internal, "The grpc-timeout header is malformed.") }
      case .grpcEncoding:
        if let encoding = fields.withValue(of: field, MessageEncoding.init(name:)) {
          result.encoding = encoding
        } else {
          failure = RPCError(.unimplemented, "The grpc-encoding is not supported; grpc-accept-encoding lists what is.")
        }
      case .grpcAcceptEncoding:
        fields.withValue(of: field) { result.acceptedEncodings.formUnion(list: $0) }
      case .other, .userAgent: hasCustomMetadata = true
      default: break
      }
    }
    guard isGRPC else { return .rejectHTTP(status: 415) }
    guard isPost else { return .rejectHTTP(status: 405) }
    if let failure { return .reject(failure) }
    if let field = authority ?? host { result.authority = cache.authority(field, of: fields) }
    if hasCustomMetadata {
      do throws(RPCError) { result.metadata = try cache.metadata(of: fields) } catch { return .reject(error) }
    }
    return .route(result)
  }

  /// As ``receivedHeaders(_:cache:)``, for a call that stands alone.
  package func receivedHeaders(_ fields: HeaderFields) -> OnHeaders {
    var cache = MetadataCache()
    return receivedHeaders(fields, cache: &cache)
  }

  /// The path has a handler of this kind.
  package mutating func start(_ kind: MethodKind, method: String, encoding: MessageEncoding = .identity) {
    deframer.method = method
    deframer.encoding = encoding
    switch kind {
    case .unary, .serverStreaming: request = .open(single: true, received: 0)
    case .clientStreaming, .bidirectionalStreaming: request = .open(single: false, received: 0)
    }
  }

  /// The caller half-closed (END_STREAM on DATA or on trailers).
  package mutating func receivedEnd() {
    switch request {
    case .open(let single, let received): request = .halfClosed(single: single, received: received)
    case .idle, .halfClosed, .over: break  // ended already: an answer was early, or the library saw to it
    }
  }

  /// Takes the next message out of the stream's bytes.
  ///
  /// A single request is only given out once the caller has half-closed, so that a second message is noticed before the
  /// handler runs (W25, W27).
  ///
  /// - Throws: the status of the call; from then on everything is ``OnRequest/end``.
  package mutating func next(from buffer: inout ByteBuffer) throws(RPCError) -> OnRequest {
    do throws(RPCError) {
      switch request {
      case .idle: return .wait
      case .over: return .end
      case .open(single: true, let received):
        request = .open(single: true, received: try takeSingle(from: &buffer, received: received))
        return .wait
      case .halfClosed(single: true, let received):
        _ = try takeSingle(from: &buffer, received: received)
        try requireWholeMessages(buffer)
        guard let message = held else { throw Self.cardinality("none") }
        held = nil
        request = .over
        return .message(message)
      case .open(single: false, let received):
        guard let message = try deframer.next(from: &buffer) else { return .wait }
        request = .open(single: false, received: received + 1)
        return .message(message)
      case .halfClosed(single: false, let received):
        if let message = try deframer.next(from: &buffer) {
          request = .halfClosed(single: false, received: received + 1)
          return .message(message)
        }
        try requireWholeMessages(buffer)
        request = .over
        return .end
      }
    } catch {
      request = .over
      held = nil
      throw error
    }
  }

  private mutating func takeSingle(from buffer: inout ByteBuffer, received: Int) throws(RPCError) -> Int {
    var received = received
    while let message = try deframer.next(from: &buffer) {
      received += 1
      guard received == 1 else { throw Self.cardinality("more than one") }
      held = message
    }
    return received
  }

  private func requireWholeMessages(_ buffer: ByteBuffer) throws(RPCError) {
    guard !deframer.isInsideMessage(buffer) else {
      throw RPCError(.internal, "The request ended in the middle of a message.")
    }
  }

  private static func cardinality(_ found: String) -> RPCError {
    RPCError(.unimplemented, "The method takes exactly one request message; the call had \(found).")
  }

  // MARK: Response

  package enum OnSend: Equatable {
    /// Send response headers first, then what was asked for.
    case withHeaders
    case alone
    /// The call is over; send nothing.
    case drop
  }

  /// Before a message (or explicit headers) goes out: headers wait for it (W28).
  package mutating func sendMessage() -> OnSend {
    switch response {
    case .idle:
      response = .headersSent
      return .withHeaders
    case .headersSent: return .alone
    case .finished: return .drop
    }
  }

  /// Before the status goes out: ``OnSend/withHeaders`` means Trailers-Only (W30).
  package mutating func sendStatus() -> OnSend {
    defer {
      response = .finished
      request = .over
      held = nil
    }
    switch response {
    case .idle: return .withHeaders
    case .headersSent: return .alone
    case .finished: return .drop
    }
  }

  /// The stream was reset or its connection lost. Returns false if the call was over already.
  package mutating func abandoned() -> Bool {
    let wasRunning: Bool
    switch response {
    case .idle, .headersSent: wasRunning = true
    case .finished: wasRunning = false
    }
    response = .finished
    request = .over
    held = nil
    return wasRunning
  }

  /// Bytes that the message last given out had on the wire, without its prefix.
  package var lastMessageWireLength: Int { deframer.lastWireLength }

  /// Whether the message last given out came compressed.
  package var wasLastMessageCompressed: Bool { deframer.wasLastCompressed }

  package var isFinished: Bool {
    switch response {
    case .finished: true
    case .idle, .headersSent: false
    }
  }
}
