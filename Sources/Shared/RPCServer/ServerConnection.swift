internal import HTTP2
package import Logging
package import NIOCore
package import RPC
internal import Sockets

/// What the connections of one server share.
package struct ServerConnectionContext: Sendable {
  let configuration: RPCServerConfiguration
  let router: Router
  let interceptors: [any ServerInterceptor]
  let inFlight: CallsInFlight
  let logger: Logger

  package init(
    configuration: RPCServerConfiguration = .init(), router: Router, interceptors: [any ServerInterceptor] = [],
    logger: Logger
  ) {
    self.configuration = configuration
    self.router = router
    self.interceptors = interceptors
    self.inFlight = CallsInFlight()
    self.logger = logger
  }
}

/// Drives one connection: bytes from the channel into the session, its events to calls, the session's bytes to the channel.
///
/// Writes once per read, and once per tick of the loop when handlers finish in between. Confined to the channel's loop.
// Why @exclusivity(unchecked): see HTTP2Session.
package final class ServerConnection: ChannelInboundHandler {
  package typealias InboundIn = ByteBuffer
  package typealias OutboundOut = ByteBuffer

  /// Fire it at the channel's pipeline to drain the connection (W45).
  package struct BeginDrain: Sendable {
    /// How long calls may go on.
    package var grace: TimeAmount?

    package init(grace: TimeAmount?) { self.grace = grace }
  }

  let session: HTTP2Session
  private let shared: ServerConnectionContext
  private let peer: Peer
  @exclusivity(unchecked) private var policy: ConnectionPolicy
  @exclusivity(unchecked) private var budget: PeerBudget
  private let callLimits: ServerCall.Limits

  @exclusivity(unchecked) private var channel: ChannelHandlerContext?
  @exclusivity(unchecked) private var executor: EventLoopTaskExecutor?
  @exclusivity(unchecked) private var callCount = 0
  @exclusivity(unchecked) private var isReading = false
  @exclusivity(unchecked) private var isFlushScheduled = false
  @exclusivity(unchecked) private var isClosed = false
  @exclusivity(unchecked) private var output = ByteBuffer()
  /// Read at most once per batch of events; `nil` between them.
  @exclusivity(unchecked) private var batchTime: NIODeadline?
  @exclusivity(unchecked) private var timer: Scheduled<Void>?
  @exclusivity(unchecked) private var timerDeadline: NIODeadline?

  /// Bytes handed to the channel in one write.
  private static let writeSize = 128 * 1024
  private static let drainPing: UInt64 = 0x636C_696E_6963_0001
  private static let keepalivePing: UInt64 = 0x636C_696E_6963_0002

  package init(
    _ shared: ServerConnectionContext, peer: Peer, now: NIODeadline, ageJitter: Double = .random(in: 0.9...1.1)
  ) {
    self.shared = shared
    self.peer = peer
    session = HTTP2Session(role: .server, configuration: shared.configuration.http2)
    policy = ConnectionPolicy(shared.configuration.connection, now: now, ageJitter: ageJitter)
    budget = PeerBudget(shared.configuration.budget, now: now)
    callLimits = ServerCall.Limits(
      maxSendMessageLength: shared.configuration.maxSendMessageLength,
      maxResponseHeaderListSize: shared.configuration.maxResponseHeaderListSize,
      errorDomain: shared.configuration.errorDomain, responseEncoding: shared.configuration.responseEncoding,
      minCompressedLength: shared.configuration.minCompressedLength)
  }

  // MARK: Channel

  package func handlerAdded(context: ChannelHandlerContext) {
    channel = context
    executor = EventLoopTaskExecutor(context.eventLoop)
    if context.channel.isActive { connected() }
  }

  package func channelActive(context: ChannelHandlerContext) {
    connected()
    context.fireChannelActive()
  }

  private func connected() {
    guard timerDeadline == nil else { return }
    shared.logger.debug("connection opened", metadata: ["peer": "\(peer.address)"])
    rearmTimer()
    needsFlush()
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isClosed else { return }
    isReading = true
    let buffer = unwrapInboundIn(data)
    policy.received(now: now())
    do throws(HTTP2SessionError) {
      let outcome: Result<Void, HTTP2SessionError> = buffer.withUnsafeReadableBytes { bytes in
        do throws(HTTP2SessionError) { return .success(try session.receive(bytes)) } catch { return .failure(error) }
      }
      handleEvents()
      try outcome.get()
    } catch {
      fail("The peer broke the protocol: \(error.text)")
    }
  }

  package func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    batchTime = nil
    flush()
  }

  package func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { needsFlush() }
    context.fireChannelWritabilityChanged()
  }

  package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case let event as BeginDrain: beginDrain(grace: event.grace, reason: "the server shuts down")
    case ChannelEvent.inputClosed: context.close(promise: nil)
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  package func errorCaught(context: ChannelHandlerContext, error: any Error) {
    shared.logger.debug("connection failed", metadata: ["peer": "\(peer.address)", "error": "\(error)"])
    context.close(promise: nil)
  }

  package func channelInactive(context: ChannelHandlerContext) {
    disconnected()
    context.fireChannelInactive()
  }

  package func handlerRemoved(context: ChannelHandlerContext) { disconnected() }

  /// The transport is gone: every call is cancelled (WIRE 2.9).
  private func disconnected() {
    isClosed = true
    timer?.cancel()
    timer = nil
    channel = nil
    for stream in session.liveStreams {
      call(of: stream)?.abandon(RPCError(.cancelled, "The connection to the caller was lost."))
    }
  }

  // MARK: Events

  private func handleEvents() {
    while let event = session.nextEvent() {
      switch event {
      case .headers(let stream, let fields, let end):
        receivedHeaders(fields, on: stream, end: end)
        session.recycle(fields)
      case .data(let stream, let end): requestArrived(on: stream, end: end)
      case .trailers(let stream, let fields):
        session.recycle(fields)
        requestArrived(on: stream, end: true)
      case .writable(let stream): call(of: stream)?.becameWritable()
      case .closed(let stream, _):
        call(of: stream)?.abandon(RPCError(.cancelled, "The caller cancelled the call."))
      case .settings: break
      case .settingsAcknowledged: policy.handshakeCompleted()
      case .ping: perform(policy.clientPinged(hasCalls: callCount > 0, now: now()))
      case .pingAcknowledged(Self.drainPing): perform(policy.drainPingAnswered())
      case .pingAcknowledged: break
      case .goAway(_, let code, let text):
        shared.logger.debug(
          "peer says GOAWAY", metadata: ["peer": "\(peer.address)", "code": "\(code)", "text": "\(text)"])
      }
    }
  }

  private func call(of stream: HTTP2Stream) -> ServerCall? {
    stream.context.map { unsafeDowncast($0, to: ServerCall.self) }
  }

  private func receivedHeaders(_ fields: HeaderFields, on stream: HTTP2Stream, end: Bool) {
    var state = ServerCallState(maxMessageLength: shared.configuration.maxMessageLength)
    let request: ServerCallState.Request
    switch state.receivedHeaders(fields) {
    case .rejectHTTP(let status): return ResponseStatus.sendHTTP(status, on: stream, of: session)
    case .reject(let error): return reject(stream, error)
    case .route(let routed): request = routed
    }
    guard let path = fields.first(.path), let route = fields.withValue(of: path, shared.router.route) else {
      let name = fields.value(.path) ?? ""
      return reject(stream, RPCError(.unimplemented, "No such method: \(name.prefix(200))"))
    }
    if let limit = shared.configuration.maxCallsInFlight, shared.inFlight.count >= limit {
      return reject(
        stream, RPCError(.resourceExhausted, "The server runs \(limit) calls already (option: maxCallsInFlight)."))
    }
    let deadline = request.timeout.map { now() + TimeAmount($0) }
    if let deadline, deadline <= now() {
      return reject(stream, RPCError(.deadlineExceeded, "The deadline passed before the call was started."))
    }
    guard let executor else { return }
    state.start(route.kind, method: route.path, encoding: request.encoding)
    let call = ServerCall(
      context: ServerContext(
        path: route.path, requestMetadata: request.metadata, deadline: deadline, peer: peer,
        authority: request.authority),
      connection: self, stream: stream, state: state, route: route, executor: executor, limits: callLimits,
      compression: ServerCall.Compression(request), inFlight: shared.inFlight)
    stream.context = call
    callCount += 1
    if callCount == 1 { policy.callsChanged(count: callCount, now: now()) }
    if let deadline, deadline < timerDeadline ?? .distantFuture { rearmTimer() }
    switch route.kind {
    case .clientStreaming, .bidirectionalStreaming: call.start(request: nil, interceptors: shared.interceptors)
    case .unary, .serverStreaming: break
    }
    if end { requestArrived(on: stream, end: true) }
  }

  private func reject(_ stream: HTTP2Stream, _ error: RPCError) {
    ResponseStatus(error, context: nil, limits: callLimits).sendTrailersOnly(on: stream, of: session)
  }

  private func requestArrived(on stream: HTTP2Stream, end: Bool) {
    guard let call = call(of: stream) else {
      stream.inbound.clear()
      return
    }
    do throws(RPCError) {
      if let message = try call.requestArrived(end: end) {
        call.start(request: message, interceptors: shared.interceptors)
      }
    } catch {
      call.fail(error)
    }
  }

  // MARK: From calls

  /// The session has something to send. It goes out at the end of the read, or of the loop's tick.
  func needsFlush() {
    guard !isReading, !isFlushScheduled, let channel else { return }
    isFlushScheduled = true
    channel.eventLoop.assumeIsolated().execute {
      self.isFlushScheduled = false
      self.batchTime = nil
      self.flush()
    }
  }

  func callEnded() {
    callCount -= 1
    if callCount == 0 { policy.callsChanged(count: 0, now: now()) }
  }

  // MARK: Out

  private func flush() {
    guard let channel, !isClosed else { return }
    do throws(HTTP2SessionError) {
      var hasWritten = false
      var hasMore = true
      while hasMore, channel.channel.isWritable {
        output.clear()
        hasMore = try session.produce(into: &output, limit: Self.writeSize)
        guard output.readableBytes > 0 else { break }
        channel.write(wrapOutboundOut(output), promise: nil)
        hasWritten = true
      }
      if hasWritten { channel.flush() }
    } catch {
      return fail("The session broke: \(error.text)")
    }
    if session.hasSentHeadersOrData {
      session.hasSentHeadersOrData = false
      policy.sentHeadersOrData()
    }
    // Sending made room for writers.
    handleEvents()
    if session.isFinished { return close("drained") }
    if let excess = budget.check(PeerBudget.Counts(session.counters), now: now()) { refuse(excess) }
  }

  private func fail(_ reason: String) {
    // Whatever the library still has to say, a GOAWAY perhaps, is worth a try.
    output.clear()
    if (try? session.produce(into: &output, limit: Self.writeSize)) != nil, output.readableBytes > 0 {
      channel?.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }
    close(reason)
  }

  private func close(_ reason: String) {
    guard !isClosed, let channel else { return }
    shared.logger.debug("connection closes", metadata: ["peer": "\(peer.address)", "reason": "\(reason)"])
    let context = channel
    disconnected()
    context.close(promise: nil)
  }

  // MARK: Time

  private func now() -> NIODeadline {
    if let batchTime { return batchTime }
    let now = channel?.eventLoop.now ?? .now()
    if isReading { batchTime = now }
    return now
  }

  /// One timer serves the policy and the deadlines of all calls: it is set to the earliest of them, and looks again when
  /// it fires. A call that ends before its deadline costs nothing.
  private func rearmTimer() {
    guard let channel, !isClosed else { return }
    var next = policy.nextDeadline
    for stream in session.liveStreams {
      if let deadline = call(of: stream)?.deadline { next = min(next, deadline) }
    }
    if let timerDeadline, timerDeadline <= next, timer != nil { return }
    timer?.cancel()
    timerDeadline = next
    timer = channel.eventLoop.assumeIsolated().scheduleTask(deadline: next) { self.timerFired() }
  }

  private func timerFired() {
    timer = nil
    timerDeadline = nil
    batchTime = nil
    let now = now()
    for stream in session.liveStreams {
      if let call = call(of: stream), let deadline = call.deadline, deadline <= now {
        call.fail(RPCError(.deadlineExceeded, "The deadline passed before the call was done."))
      }
    }
    while let action = policy.tick(now: now), !isClosed { perform(action) }
    rearmTimer()
    flush()
  }

  private func perform(_ action: ConnectionPolicy.Action?) {
    switch action {
    case nil: break
    case .sendKeepalivePing:
      session.ping(Self.keepalivePing)
      needsFlush()
    case .beginDrain(let reason): beginDrain(grace: policy.drainGrace, reason: reason)
    case .finishDrain:
      session.finishShutdown()
      needsFlush()
    case .tooManyPings: refuse("too_many_pings")
    case .close(let reason): fail(reason)
    }
  }

  /// GOAWAY(ENHANCE_YOUR_CALM), then the end.
  private func refuse(_ reason: String) {
    shared.logger.notice("peer exceeds a budget", metadata: ["peer": "\(peer.address)", "budget": "\(reason)"])
    session.goAway(.enhanceYourCalm, debugData: reason)
    fail(reason)
  }

  private func beginDrain(grace: TimeAmount?, reason: String) {
    guard !isClosed else { return }
    shared.logger.debug("connection drains", metadata: ["peer": "\(peer.address)", "reason": "\(reason)"])
    if policy.drainBegan(grace: grace, now: now()) {
      session.beginShutdown()
      session.ping(Self.drainPing)
      needsFlush()
    }
    rearmTimer()
  }
}
