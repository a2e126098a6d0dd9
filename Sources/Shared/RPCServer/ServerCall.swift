internal import HTTP2
internal import NIOCore
internal import RPC
internal import Sockets

/// One call under way: joins its stream, its state machine and the task of its handler.
///
/// Made for each request; the connection lets go of it when the call is over. A handler that goes on after that talks to a
/// call without a stream, and is told so.
// Why @unchecked: everything mutable is touched on the connection's event loop only; what the handler's task calls hops
// there unless it is on it already. `request` is the exception: written before the task starts, taken by it once.
// Why @exclusivity(unchecked): see HTTP2Session.
final class ServerCall: @unchecked Sendable {
  let context: ServerContext
  var deadline: NIODeadline? { context.deadline }
  private let route: Router.Route
  private let executor: EventLoopTaskExecutor
  let limits: Limits
  private let inFlight: CallsInFlight

  @exclusivity(unchecked) var compression: Compression
  /// `nil` once the call is over.
  @exclusivity(unchecked) private var connection: ServerConnection?
  @exclusivity(unchecked) private var stream: HTTP2Stream?
  @exclusivity(unchecked) private(set) var state: ServerCallState
  @exclusivity(unchecked) private var request: ByteBuffer?
  @exclusivity(unchecked) private var task: Task<Void, Never>?
  @exclusivity(unchecked) private(set) var isHandlerRunning = false
  @exclusivity(unchecked) private var wasStarted = false
  @exclusivity(unchecked) private var refusal: Refusal?
  /// The response of a method that has one is in the stream's buffer, not yet announced.
  @exclusivity(unchecked) private var hasStagedResponse = false

  @exclusivity(unchecked) private var reader: CheckedContinuation<ByteBuffer?, any Error>?
  @exclusivity(unchecked) private var writers: [CheckedContinuation<Void, any Error>] = []
  /// Why reads and writes fail, once the call is over.
  @exclusivity(unchecked) private var failure: RPCError?

  struct Limits: Sendable {
    var maxSendMessageLength: Int
    var maxResponseHeaderListSize: Int
    var errorDomain: String?
    var responseEncoding: MessageEncoding
    var minCompressedLength: Int
  }

  init(
    context: ServerContext, connection: ServerConnection, stream: HTTP2Stream, state: ServerCallState,
    route: Router.Route, executor: EventLoopTaskExecutor, limits: Limits, compression: Compression,
    inFlight: CallsInFlight
  ) {
    self.context = context
    self.connection = connection
    self.stream = stream
    self.state = state
    self.route = route
    self.executor = executor
    self.limits = limits
    self.compression = compression
    self.inFlight = inFlight
  }

  // MARK: From the connection

  /// DATA or the half-close arrived.
  ///
  /// - Returns: the request message, once it is whole and alone, for a method that takes one; the caller starts the
  ///   handler with it.
  func requestArrived(end: Bool) throws(RPCError) -> ByteBuffer? {
    if end { state.receivedEnd() }
    guard let connection, let stream else { return nil }
    if isHandlerRunning {
      if let reader {
        self.reader = nil
        read(reader)
      }
      return nil
    }
    guard case .message(let message) = try state.next(from: &stream.inbound) else {
      // A single message must be whole before its handler runs, so its bytes never wait for a reader.
      connection.session.consume(stream.unconsumedBytes, on: stream)
      return nil
    }
    noteCompression()
    return message
  }

  /// Starts the handler: at once, on this stack, until it first waits.
  func start(request: ByteBuffer?, interceptors: [any ServerInterceptor]) {
    self.request = request
    inFlight.started()
    run(interceptors) { call in try await call.route.run(call) }
  }

  /// Why a call gets no handler.
  enum Refusal: Sendable {
    case status(RPCError)
    /// It is no gRPC call: a bare HTTP answer.
    case http(Int)

    var error: RPCError {
      switch self {
      case .status(let error): error
      case .http(let status): RPCError(.unknown, "The request is not gRPC: HTTP status \(status).")
      }
    }
  }

  /// Answers the call without a handler, inside the interceptors that see such calls.
  func refuse(_ refusal: Refusal, observers: [any ServerInterceptor]) {
    self.refusal = refusal
    run(observers) { _ in throw refusal.error }
  }

  private func run(
    _ interceptors: [any ServerInterceptor], around body: @escaping @Sendable (ServerCall) async throws -> Void
  ) {
    isHandlerRunning = true
    wasStarted = true
    let task = Task.immediate(executorPreference: executor) {
      do {
        try await self.run(interceptors[...], body)
        self.onLoop { $0.finish(nil) }
      } catch {
        let error = RPCError(wrapping: error)
        self.onLoop { $0.finish(error) }
      }
    }
    if isHandlerRunning { self.task = task }
  }

  private func run(
    _ interceptors: ArraySlice<any ServerInterceptor>, _ body: @Sendable (ServerCall) async throws -> Void
  ) async throws {
    guard let interceptor = interceptors.first else { return try await body(self) }
    try await interceptor.intercept(context) { try await self.run(interceptors.dropFirst(), body) }
  }

  /// The stream's outbound bytes drained.
  func becameWritable() {
    let waiting = writers
    writers = []
    for writer in waiting { writer.resume() }
  }

  /// Ends the call with a status that the runtime decided: the handler is cancelled and not waited for.
  func fail(_ error: RPCError) {
    guard wasStarted else { return refuse(.status(error), observers: connection?.shared.observers ?? []) }
    sendStatus(error)
    release(error)
  }

  /// The caller reset the stream, or its connection is gone: nothing can be sent any more.
  func abandon(_ error: RPCError) {
    _ = state.abandoned()
    release(error)
  }

  // MARK: End

  /// The handler returned, or threw.
  private func finish(_ error: RPCError?) {
    isHandlerRunning = false
    if refusal == nil { inFlight.finished() }
    sendStatus(error)
    release(error ?? RPCError(.cancelled, "The call is over."))
  }

  private func sendStatus(_ error: RPCError?) {
    guard let connection, let stream else { return }
    if case .http(let status) = refusal {
      _ = state.sendStatus()
      ResponseStatus.sendHTTP(status, context: context, on: stream, of: connection.session)
      return connection.needsFlush()
    }
    if error == nil, hasStagedResponse { sendHeadersIfNeeded(on: stream, of: connection.session) }
    let status = ResponseStatus(error, context: context, limits: limits)
    switch state.sendStatus() {
    case .withHeaders:
      stream.outbound.clear()
      status.sendTrailersOnly(on: stream, of: connection.session)
    case .alone: status.sendTrailers(on: stream, of: connection.session)
    case .drop: return
    }
    connection.needsFlush()
  }

  private func sendHeadersIfNeeded(on stream: HTTP2Stream, of session: HTTP2Session) {
    if case .withHeaders = state.sendMessage() {
      ResponseStatus.sendHeaders(
        context, encoding: compression.response ?? .identity, listsEncodings: compression.isRequestEncoded,
        limit: limits.maxResponseHeaderListSize, on: stream, of: session)
    }
  }

  /// Lets go of the stream, stops the handler, and tells whoever waits.
  private func release(_ error: RPCError) {
    guard let stream else { return }
    if stream.context === self { stream.context = nil }
    connection?.callEnded()
    connection = nil
    self.stream = nil
    failure = error
    // Whoever waits is told the status first: the cancellation would only tell them that there was one.
    reader?.resume(throwing: error)
    reader = nil
    let waiting = writers
    writers = []
    for writer in waiting { writer.resume(throwing: error) }
    task?.cancel()
    task = nil
  }

  private var eventLoop: any EventLoop { executor.eventLoop }

  private func onLoop(_ body: @escaping @Sendable (ServerCall) -> Void) {
    if eventLoop.inEventLoop { body(self) } else { eventLoop.execute { body(self) } }
  }
}

// MARK: - From the handler

extension ServerCall {
  /// The one request message of a method that takes one.
  func takeRequest<Input: WireMessage>() throws(RPCError) -> Input {
    guard let bytes = request else { throw RPCError(.internal, "The request was taken already.") }
    request = nil
    do throws(WireMessageError) {
      return try Input(serialized: bytes)
    } catch {
      throw RPCError(.internal, "The request could not be parsed: \(error.description)")
    }
  }

  /// The one response of a method that has one. It goes out once the interceptors have let it pass.
  func respond(_ message: some WireMessage) async throws {
    if eventLoop.inEventLoop { return try stage(message) }
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      eventLoop.execute { done.resume(with: Result { try self.stage(message) }) }
    }
  }

  private func stage(_ message: some WireMessage) throws(RPCError) {
    guard let stream else { throw failure ?? RPCError(.cancelled, "The call is over.") }
    try requireRoom()
    if responseEncoding() == .identity {
      do throws(WireMessageError) {
        try MessageFraming.write(into: &stream.outbound) { (buffer) throws(WireMessageError) in
          try message.serialize(into: &buffer)
        }
      } catch {
        throw Self.unserializable(error)
      }
      try checkLength(stream.outbound.readableBytes - MessageFraming.prefixLength)
    } else {
      let bytes: ByteBuffer
      do throws(WireMessageError) { bytes = try message.serialized() } catch { throw Self.unserializable(error) }
      try checkLength(bytes.readableBytes)
      frame(bytes, into: &stream.outbound)
    }
    hasStagedResponse = true
  }

  /// What waits on the connection is bounded, so that callers that do not read cost no more than that.
  private func requireRoom() throws(RPCError) {
    guard let connection, connection.session.bufferedBytes > connection.shared.configuration.maxBufferedBytes else {
      return
    }
    connection.shared.trips.tripped(.bufferedBytes, peer: context.peer.address, now: connection.now())
    throw RPCError(
      .resourceExhausted,
      "\(connection.session.bufferedBytes) bytes of responses wait on the connection "
        + "(option: maxBufferedBytes): read them, or use more connections.")
  }

  private static func unserializable(_ error: WireMessageError) -> RPCError {
    RPCError(.internal, "The response could not be serialized: \(error.description)")
  }

  private func checkLength(_ length: Int) throws(RPCError) {
    guard length <= limits.maxSendMessageLength else {
      throw RPCError(
        .resourceExhausted,
        "A response message of \(context.path) with \(length) bytes is larger than the limit of "
          + "\(limits.maxSendMessageLength) bytes (option: maxSendMessageLength).")
    }
  }
}

extension ServerCall: MessageSource {
  func nextMessage() async throws -> ByteBuffer? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { reader in onLoop { $0.read(reader) } }
    } onCancel: {
      onLoop { call in
        call.reader?.resume(throwing: CancellationError())
        call.reader = nil
      }
    }
  }

  /// Gives `reader` the next message, or keeps it until there is one.
  private func read(_ reader: CheckedContinuation<ByteBuffer?, any Error>) {
    guard let connection, let stream else {
      return reader.resume(throwing: failure ?? RPCError(.cancelled, "The call is over."))
    }
    guard self.reader == nil else {
      return reader.resume(throwing: RPCError(.internal, "Two tasks read the messages of one call."))
    }
    do throws(RPCError) {
      switch try state.next(from: &stream.inbound) {
      case .message(let message):
        noteCompression()
        connection.session.consumeTaken(on: stream)
        connection.needsFlush()
        reader.resume(returning: message)
      case .wait:
        // The reader starves: whatever is buffered is part of a message that cannot be complete without more.
        connection.session.consume(stream.unconsumedBytes, on: stream)
        connection.needsFlush()
        self.reader = reader
      case .end: reader.resume(returning: nil)
      }
    } catch {
      self.reader = reader  // told by release
      fail(error)
    }
  }
}

extension ServerCall: MessageSink {
  func send(_ message: ByteBuffer, mayCompress: Bool) async throws {
    try checkLength(message.readableBytes)
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { writer in
        onLoop { $0.write(message, mayCompress: mayCompress, writer) }
      }
    } onCancel: {
      onLoop { call in
        let waiting = call.writers
        call.writers = []
        for writer in waiting { writer.resume(throwing: CancellationError()) }
      }
    }
  }

  /// Sends `message` and resumes `writer` when the stream has room for another.
  private func write(_ message: ByteBuffer, mayCompress: Bool, _ writer: CheckedContinuation<Void, any Error>) {
    guard let connection, let stream else {
      return writer.resume(throwing: failure ?? RPCError(.cancelled, "The call is over."))
    }
    do throws(RPCError) { try requireRoom() } catch { return writer.resume(throwing: error) }
    _ = responseEncoding()
    sendHeadersIfNeeded(on: stream, of: connection.session)
    frame(message, mayCompress: mayCompress, into: &stream.outbound)
    connection.session.resume(stream)
    connection.needsFlush()
    if connection.session.isOutboundFull(stream) { writers.append(writer) } else { writer.resume() }
  }
}
