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
  /// Those of them that run around calls that never get to a handler.
  let observers: [any ServerInterceptor]
  let inFlight: CallsInFlight
  let trips: BudgetTrips
  let resets = ResetLedger()
  let logger: Logger

  package init(
    configuration: RPCServerConfiguration = .init(), router: Router, interceptors: [any ServerInterceptor] = [],
    logger: Logger, onBudgetTrip: @escaping @Sendable (ServerBudget) -> Void = { _ in }
  ) {
    self.configuration = configuration
    self.router = router
    self.interceptors = interceptors
    self.observers = interceptors.filter(\.seesRefusedCalls)
    self.inFlight = CallsInFlight()
    self.trips = BudgetTrips(logger: logger, onTrip: onBudgetTrip)
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
  let shared: ServerConnectionContext
  let peer: Peer
  @exclusivity(unchecked) var policy: ConnectionPolicy
  @exclusivity(unchecked) private var budget: PeerBudget
  @exclusivity(unchecked) var metadataCache = MetadataCache()
  let callLimits: ServerCall.Limits

  @exclusivity(unchecked) var channel: ChannelHandlerContext?
  @exclusivity(unchecked) var executor: EventLoopTaskExecutor?
  @exclusivity(unchecked) var callCount = 0
  @exclusivity(unchecked) private var startedResets = 0
  @exclusivity(unchecked) private var isReading = false
  /// The socket takes nothing.
  @exclusivity(unchecked) private var isBlocked = false
  @exclusivity(unchecked) private var isFlushScheduled = false
  @exclusivity(unchecked) var isClosed = false
  @exclusivity(unchecked) private var output = ByteBuffer()
  /// Read at most once per batch of events; `nil` between them.
  @exclusivity(unchecked) var batchTime: NIODeadline?
  @exclusivity(unchecked) var timer: Scheduled<Void>?
  @exclusivity(unchecked) var timerDeadline: NIODeadline?

  /// Bytes handed to the channel in one write.
  private static let writeSize = 128 * 1024
  static let drainPing: UInt64 = 0x636C_696E_6963_0001
  static let keepalivePing: UInt64 = 0x636C_696E_6963_0002

  package init(
    _ shared: ServerConnectionContext, peer: Peer, now: NIODeadline, ageJitter: Double = .random(in: 0.9...1.1)
  ) {
    self.shared = shared
    self.peer = peer
    session = HTTP2Session(role: .server, configuration: shared.configuration.http2)
    policy = ConnectionPolicy(shared.configuration.connection, now: now, ageJitter: ageJitter)
    budget = PeerBudget(shared.configuration.budget, allConnections: shared.resets, now: now)
    callLimits = ServerCall.Limits(shared.configuration)
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
      return broke(error)
    }
    policy.headerBlockIsOpen(session.openHeaderBlock, now: now())
    if session.openHeaderBlock != nil { armTimer() }
  }

  /// The session gave up: for breaking the protocol, or for a budget that it holds itself.
  private func broke(_ error: HTTP2SessionError) {
    switch error.cause {
    case .protocolViolation: fail("The peer broke the protocol: \(error.text)")
    case .tooManyContinuations: refuse(.continuations)
    case .headersTooLarge: refuse(.decodedHeaders)
    case .tooManyUnsentAcknowledgements: refuse(exceededBudget() ?? .unsentFrames)
    }
  }

  package func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    batchTime = nil
    flush()
  }

  package func channelWritabilityChanged(context: ChannelHandlerContext) {
    let isWritable = context.channel.isWritable
    isBlocked = !isWritable
    policy.outputIsBlocked(isBlocked, now: now())
    if isWritable { needsFlush() } else { armTimer() }
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

  func handleEvents() {
    while let event = session.nextEvent() {
      switch consume event {
      case .headers(let stream, let fields, let end):
        // Opened and reset in one read: not worth a handler.
        if !stream.isOver { receivedHeaders(fields, on: stream, end: end) }
        session.recycle(fields)
      case .data(let stream, let end): requestArrived(on: stream, end: end)
      case .trailers(let stream, let fields):
        session.recycle(fields)
        requestArrived(on: stream, end: true)
      case .writable(let stream): call(of: stream)?.becameWritable()
      case .closed(let stream, let reset):
        guard let call = call(of: stream) else { break }
        if call.isHandlerRunning, reset?.byPeer == true { startedResets += 1 }
        call.abandon(RPCError(.cancelled, "The caller cancelled the call."))
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

  func call(of stream: HTTP2Stream) -> ServerCall? {
    stream.context.map { unsafeDowncast($0, to: ServerCall.self) }
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

  func flush() {
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
      return broke(error)
    }
    if session.hasSentHeadersOrData {
      session.hasSentHeadersOrData = false
      policy.sentHeadersOrData()
    }
    // Sending made room for writers.
    handleEvents()
    if session.isFinished { return close("drained") }
    if session.bufferedBytes > 0 {
      policy.outputWaits(true, now: now())
      armTimer()
    }
    checkBudgets()
  }

  private func checkBudgets() {
    if isBlocked, session.unsentFrames > shared.configuration.maxUnsentFrames {
      return refuse(.unsentFrames)
    }
    if let excess = exceededBudget() { refuse(excess) }
  }

  private func exceededBudget() -> ServerBudget? {
    guard !budget.isUnchanged(session.counters) else { return nil }
    let counts = PeerBudget.Counts(session: session.counters, startedResets: startedResets)
    return budget.check(counts, now: now())
  }

  func fail(_ reason: String) {
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

  func now() -> NIODeadline {
    if let batchTime { return batchTime }
    let now = channel?.eventLoop.now ?? .now()
    if isReading { batchTime = now }
    return now
  }
}
