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
  @exclusivity(unchecked) var connection: ServerConnection?
  @exclusivity(unchecked) var stream: HTTP2Stream?
  @exclusivity(unchecked) var state: ServerCallState
  @exclusivity(unchecked) var request: ByteBuffer?
  @exclusivity(unchecked) private var task: Task<Void, Never>?
  @exclusivity(unchecked) private(set) var isHandlerRunning = false
  @exclusivity(unchecked) private var wasStarted = false
  @exclusivity(unchecked) private var isRefused = false
  /// Of the bare answer to what is no gRPC call.
  @exclusivity(unchecked) private var httpStatus: Int?
  /// The response of a method that has one is in the stream's buffer, not yet announced.
  @exclusivity(unchecked) var hasStagedResponse = false

  @exclusivity(unchecked) var reader: CheckedContinuation<ByteBuffer?, any Error>?
  @exclusivity(unchecked) var writers: [CheckedContinuation<Void, any Error>] = []
  /// Why reads and writes fail, once the call is over.
  @exclusivity(unchecked) var failure: RPCError?

  /// One for all calls of a connection.
  final class Limits: Sendable {
    let maxSendMessageLength: Int
    let maxResponseHeaderListSize: Int
    let errorDomain: String?
    let responseEncoding: MessageEncoding
    let minCompressedLength: Int
    let maxBufferedBytes: Int

    init(_ configuration: RPCServerConfiguration) {
      maxSendMessageLength = configuration.maxSendMessageLength
      maxResponseHeaderListSize = min(configuration.maxResponseHeaderListSize, HTTP2Session.maxSentHeaderList)
      errorDomain = configuration.errorDomain
      responseEncoding = configuration.responseEncoding
      minCompressedLength = configuration.minCompressedLength
      maxBufferedBytes = configuration.maxBufferedBytes
    }
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
    messageWasTaken()
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
      // For the log only. No fault of ours, which UNKNOWN would say there.
      case .http(let status): RPCError(.unimplemented, "The request is not gRPC: HTTP status \(status).")
      }
    }
  }

  /// Answers the call without a handler, inside the interceptors that see such calls.
  func refuse(_ refusal: Refusal, observers: [any ServerInterceptor]) {
    isRefused = true
    if case .http(let status) = refusal { httpStatus = status }
    run(observers) { _ in throw refusal.error }
  }

  private func run(
    _ interceptors: [any ServerInterceptor], around body: @escaping @Sendable (ServerCall) async throws -> Void
  ) {
    isHandlerRunning = true
    wasStarted = true
    // Frames are small, so that those of a simple call fit into the memory that a task begins with.
    let task = Task.immediate(executorPreference: executor) {
      do {
        if interceptors.isEmpty { try await body(self) } else { try await self.run(interceptors[...], body) }
        self.handlerEnded(nil)
      } catch {
        self.handlerEnded(error)
      }
    }
    if isHandlerRunning { self.task = task }
  }

  @inline(never) private func handlerEnded(_ thrown: (any Error)?) {
    guard let thrown else { return onLoop { $0.finish(nil) } }
    let error = RPCError(wrapping: thrown)
    onLoop { $0.finish(error) }
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
    if !isRefused { inFlight.finished() }
    sendStatus(error)
    release(error)
  }

  private func sendStatus(_ error: RPCError?) {
    guard let connection, let stream else { return }
    if let status = httpStatus {
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

  func sendHeadersIfNeeded(on stream: HTTP2Stream, of session: HTTP2Session) {
    if case .withHeaders = state.sendMessage() {
      ResponseStatus.sendHeaders(
        context, encoding: compression.response ?? .identity, listsEncodings: compression.isRequestEncoded,
        limit: limits.maxResponseHeaderListSize, on: stream, of: session)
    }
  }

  /// Lets go of the stream, stops the handler, and tells whoever waits.
  ///
  /// - Parameter error: why the call is over; `nil` when it ended well.
  private func release(_ error: RPCError?) {
    guard let stream else { return }
    if stream.context === self { stream.context = nil }
    connection?.callEnded()
    connection = nil
    self.stream = nil
    failure = error
    // Whoever waits is told the status first: the cancellation would only tell them that there was one.
    if reader != nil || !writers.isEmpty {
      let error = error ?? RPCError(.cancelled, "The call is over.")
      reader?.resume(throwing: error)
      reader = nil
      let waiting = writers
      writers = []
      for writer in waiting { writer.resume(throwing: error) }
    }
    task?.cancel()
    task = nil
  }

  var eventLoop: any EventLoop { executor.eventLoop }

  func onLoop(_ body: @escaping @Sendable (ServerCall) -> Void) {
    if eventLoop.inEventLoop { body(self) } else { eventLoop.execute { body(self) } }
  }
}
