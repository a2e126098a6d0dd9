internal import HTTP2
internal import Logging
internal import NIOCore
internal import RPC

/// One HTTP/2 connection to a server: moves bytes between its channel and its session, and events to their calls.
///
/// What it does not decide: which call goes where (``ChannelCore``, ``LoadBalancer``) and what a response means (``ClientCall``).
// Safe to share: everything in it is touched on the channel's event loop only; each door asserts it.
final class ClientConnection: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// What a connection tells its owner, on the loop.
  protocol Owner: AnyObject {
    /// The server's SETTINGS arrived.
    func connectionIsReady(_ connection: ClientConnection)
    /// A stream ended: there may be room for another.
    func connectionHasRoom(_ connection: ClientConnection)
    /// It takes no more calls; those it has go on.
    func connectionDrains(_ connection: ClientConnection, reason: String)
    /// The server finds our PINGs too many (W44).
    func connectionWasToldTooManyPings(_ connection: ClientConnection)
    /// It is gone, and its calls were told.
    func connectionEnded(_ connection: ClientConnection, reason: String)
  }

  /// Bytes that are handed to the channel before asking whether it wants more.
  private static let writeChunk = 64 * 1024

  let id: ConnectionID
  let endpoint: Endpoint
  let loop: any EventLoop
  private let session: HTTP2Session
  private let logger: Logger
  private var owner: (any Owner)?
  private var context: ChannelHandlerContext?
  private var keepalive: KeepaliveState?
  private var keepaliveTimer: Scheduled<Void>?

  private(set) var isReady = false
  private(set) var isDraining = false
  private var hasEnded = false
  private var isPumping = false
  private var pumpIsScheduled = false
  /// What was first wrong, for the texts of the calls that it takes down.
  private var failure: String?

  init(
    id: ConnectionID, endpoint: Endpoint, loop: any EventLoop, owner: any Owner,
    configuration: RPCClientConfiguration, logger: Logger
  ) {
    self.id = id
    self.endpoint = endpoint
    self.loop = loop
    self.owner = owner
    self.logger = logger
    session = HTTP2Session(role: .client, configuration: configuration.session)
    keepalive = configuration.keepalive.map { KeepaliveState($0, now: loop.now) }
  }

  var openCalls: Int { session.liveStreams.count }
}

// MARK: - What its owner asks

extension ClientConnection {
  /// Whether one more call fits now (W57).
  var hasRoom: Bool {
    isReady && !isDraining && !hasEnded && session.liveStreams.count < Int(session.peerMaxConcurrentStreams)
  }

  /// Open calls; `nil` when there is no room for another.
  var load: Int? { hasRoom ? openCalls : nil }

  /// After how long a silence it asks for a sign of life; `nil`: never.
  var keepaliveTime: TimeAmount? { keepalive?.time }

  /// Opens a stream for a call.
  ///
  /// - Returns: false when the connection takes no more calls; the call was not touched.
  func open(_ call: ClientCall) -> Bool {
    loop.assertInEventLoop()
    guard hasRoom else { return false }
    guard let fields = call.requestHeaders(now: loop.now) else { return true }  // It failed on its own.
    guard let stream = session.submitRequest(fields) else {
      drain("no more streams can be opened")
      return false
    }
    stream.context = call
    call.opened(stream, on: self)
    if keepalive?.callOpened(now: loop.now) == true { session.ping(0) }
    schedulePump()
    return true
  }

  /// Takes no more calls, and closes once those it has are over.
  func drain(_ reason: String) {
    loop.assertInEventLoop()
    guard !isDraining, !hasEnded else { return }
    isDraining = true
    failure = failure ?? reason
    owner?.connectionDrains(self, reason: reason)
    schedulePump()
  }

  /// Closes at once; calls that are open are told `reason`.
  func close(_ reason: String) {
    loop.assertInEventLoop()
    guard !hasEnded else { return }
    failure = failure ?? reason
    session.goAway(.noError)
    end(reason)
  }
}

// MARK: - What its calls ask

extension ClientConnection {
  /// Request bytes were appended.
  func resume(_ stream: HTTP2Stream) {
    session.resume(stream)
    schedulePump()
  }

  func finishRequest(_ stream: HTTP2Stream) {
    session.finishRequest(stream)
    schedulePump()
  }

  func isFull(_ stream: HTTP2Stream) -> Bool { session.isOutboundFull(stream) }

  func consume(_ count: Int, on stream: HTTP2Stream) {
    guard count > 0 else { return }
    session.consume(count, on: stream)
    schedulePump()
  }

  /// The call wants no more events of the stream, which is ending by itself.
  func forget(_ stream: HTTP2Stream) { stream.context = nil }

  /// The call wants no more events of the stream, and neither side shall send on it.
  func reset(_ stream: HTTP2Stream, _ code: ClientCallState.Reset) {
    stream.context = nil
    session.reset(stream, HTTP2ErrorCode(rawValue: code.rawValue))
    schedulePump()
  }
}

// MARK: - The channel

extension ClientConnection {
  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { start() }
  }

  func channelActive(context: ChannelHandlerContext) {
    start()
    context.fireChannelActive()
  }

  private func start() {
    pump()
    scheduleKeepalive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !hasEnded else { return }
    let bytes = unwrapInboundIn(data)
    keepalive?.bytesArrived(now: loop.now)
    let result = bytes.withUnsafeReadableBytes { bytes -> Result<Void, HTTP2SessionError> in
      do throws(HTTP2SessionError) { return .success(try session.receive(bytes)) } catch { return .failure(error) }
    }
    if case .failure(let error) = result { return fail(error) }
    pumpEvents()
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    pump()
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    pump()
    context.fireChannelWritabilityChanged()
  }

  func channelInactive(context: ChannelHandlerContext) {
    end(failure ?? "the server closed it")
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    failure = failure ?? "\(error)"
    end("\(error)")
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    end(failure ?? "the channel was closed")
    self.context = nil
  }

  /// The peer or the library broke the session. What it still wants to say goes out, then everything ends.
  private func fail(_ error: HTTP2SessionError) {
    failure = failure ?? "HTTP/2: \(error.text)"
    logger.notice("The HTTP/2 session failed.", metadata: ["endpoint": "\(endpoint)", "cause": "\(error.text)"])
    end("HTTP/2: \(error.text)")
  }

  private func end(_ reason: String) {
    guard !hasEnded else { return }
    hasEnded = true
    isDraining = true
    keepaliveTimer?.cancel()
    keepaliveTimer = nil
    let text = failure ?? reason
    // Events that came before the end count.
    while let event = session.nextEvent() { handle(event) }
    for stream in session.liveStreams {
      let call = stream.context as? ClientCall
      stream.context = nil
      call?.connectionLost(
        ConnectFailure(phase: .established, address: "\(endpoint)", cause: text), wasSent: stream.hasSentHeaders)
    }
    if let context, context.channel.isActive {
      var bytes = context.channel.allocator.buffer(capacity: 256)
      _ = try? session.produce(into: &bytes, limit: Self.writeChunk)
      if bytes.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(bytes), promise: nil) }
    }
    context?.close(promise: nil)
    let owner = owner
    self.owner = nil
    owner?.connectionEnded(self, reason: text)
  }
}

// MARK: - Events and output

extension ClientConnection {
  /// One flush for all that happens in this turn of the loop.
  private func schedulePump() {
    guard !isPumping, !pumpIsScheduled, !hasEnded else { return }
    pumpIsScheduled = true
    loop.execute {
      self.pumpIsScheduled = false
      self.pump()
    }
  }

  private func pumpEvents() {
    let wasPumping = isPumping
    isPumping = true
    while let event = session.nextEvent() { handle(event) }
    isPumping = wasPumping
  }

  private func pump() {
    guard !isPumping, !hasEnded, let context else { return }
    isPumping = true
    var wroteAny = false
    var more = true
    while more, !hasEnded {
      while let event = session.nextEvent() { handle(event) }
      guard context.channel.isWritable else { break }
      var bytes = context.channel.allocator.buffer(capacity: 1024)
      do throws(HTTP2SessionError) {
        more = try session.produce(into: &bytes, limit: Self.writeChunk) || bytes.readableBytes > 0
      } catch {
        isPumping = false
        return fail(error)
      }
      if bytes.readableBytes > 0 {
        wroteAny = true
        context.write(wrapOutboundOut(bytes), promise: nil)
      }
    }
    isPumping = false
    if wroteAny { context.flush() }
    if isDraining, !hasEnded, session.liveStreams.isEmpty { end(failure ?? "it was drained") }
    if session.isFinished, !hasEnded {
      // The library ended the session by a GOAWAY of ours, which was sent just now.
      end("HTTP/2: " + (session.diagnostic.isEmpty ? "the server broke the protocol" : session.diagnostic))
    }
  }

  private func handle(_ event: HTTP2Event) {
    switch event {
    case .headers(let stream, let fields, let endStream):
      call(of: stream)?.receivedHeaders(fields, endStream: endStream)
      session.recycle(fields)
    case .trailers(let stream, let fields):
      call(of: stream)?.receivedTrailers(fields)
      session.recycle(fields)
    case .data(let stream, let endStream):
      let bytes = stream.inbound
      stream.inbound = ByteBuffer()
      call(of: stream)?.receivedData(bytes, endStream: endStream)
    case .writable(let stream):
      call(of: stream)?.becameWritable()
    case .closed(let stream, let reset):
      let call = call(of: stream)
      stream.context = nil
      call?.streamClosed(reset, reason: isDraining ? failure ?? "" : session.diagnostic)
      owner?.connectionHasRoom(self)
    case .settings:
      if isReady {
        owner?.connectionHasRoom(self)
      } else {
        isReady = true
        owner?.connectionIsReady(self)
      }
    case .goAway(_, let code, let debugData):
      received(goAway: code, debugData)
    case .settingsAcknowledged, .ping, .pingAcknowledged: break
    }
  }

  private func call(of stream: HTTP2Stream) -> ClientCall? { stream.context as? ClientCall }

  /// W43, W44: open streams go on, unless the server never ran them; new ones go elsewhere.
  private func received(goAway code: HTTP2ErrorCode, _ debugData: String) {
    let said = debugData.isEmpty ? "" : " (\(debugData))"
    if code != .noError {
      logger.notice(
        "The server sent GOAWAY.",
        metadata: ["endpoint": "\(endpoint)", "code": "\(code)", "debug_data": "\(debugData)"])
      if code == .enhanceYourCalm, debugData == "too_many_pings" { owner?.connectionWasToldTooManyPings(self) }
    }
    drain("the server sent GOAWAY \(code)\(said)")
  }
}

// MARK: - Keepalive

extension ClientConnection {
  private func scheduleKeepalive() {
    guard keepalive != nil, !hasEnded else { return }
    switch keepalive?.check(now: loop.now, hasCalls: openCalls > 0) {
    case .check(let at): setKeepaliveTimer(at)
    case .ping(let checkAt):
      session.ping(0)
      pump()
      setKeepaliveTimer(checkAt)
    case .giveUp: close("keepalive: the server did not answer a PING in time")
    case nil: break
    }
  }

  private func setKeepaliveTimer(_ at: NIODeadline) {
    keepaliveTimer?.cancel()
    keepaliveTimer = loop.scheduleTask(deadline: at) { self.scheduleKeepalive() }
  }
}
