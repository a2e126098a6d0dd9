internal import HTTP2
internal import NIOCore
internal import RPC

/// One call over all its attempts: between the tasks of its caller and the streams of connections.
///
/// The rules of a response are ``ClientCallState``'s, those of repetition ``RetryState``'s; this carries them out.
// Safe to share: everything mutable in it is touched on the channel's event loop only; each door asserts it.
final class ClientCall: @unchecked Sendable {
  typealias Outcome = ClientCallState.Outcome

  /// Where a call of this channel goes; on the loop.
  protocol Router: AnyObject, Sendable {
    /// What holds for a call that begins now.
    func settings(for path: String) -> Settings
    func enqueue(_ call: ClientCall)
    func callEnded(_ call: ClientCall, _ code: StatusCode)
    /// What a connection made of one attempt; not told of one that the caller gave up.
    func attemptEnded(on connection: ClientConnection, _ code: StatusCode)
    /// Decides with the channel's throttle and its random numbers.
    func retry(
      _ state: inout RetryState, _ outcome: Outcome, progress: RetryState.Progress, committed: Bool,
      deadline: NIODeadline?
    ) -> RetryState.Decision
    /// Room for request bytes that are kept for a repetition; false when the channel has none (W54).
    func reserveRetryBuffer(_ count: Int) -> Bool
    func releaseRetryBuffer(_ count: Int)
    /// The last reason why there was no connection, for the text of a deadline.
    var waitingReason: String? { get }
  }

  let path: String
  let kind: MethodKind
  let options: CallOptions
  let loop: any EventLoop
  private let router: any Router
  private var settings = Settings()

  /// What the channel, its configuration and its service config say of a call.
  struct Settings: Sendable {
    var scheme = "http"
    var authority = ""
    var userAgent = ""
    var maxReceiveMessageLength = MessageDeframer.defaultMaxMessageLength
    var maxSendMessageLength = Int(Int32.max)
    var retryBufferLimit = 0
    var retryPolicy: RetryPolicy?
    var timeout: TimeAmount?
    var waitForReady = false
  }

  private enum Phase {
    case created
    /// Waits for a connection, or for the delay before another attempt.
    case waiting
    case open(HTTP2Stream, ClientConnection)
    /// Decided; messages may be left to take.
    case over
  }

  private var phase = Phase.created
  private var state: ClientCallState
  private var retry: RetryState
  private var request = RequestLog(limit: 0)
  /// Of the channel's room for repetitions.
  private var reservedBytes = 0
  /// How far the attempt got that has just ended.
  private var progress = RetryState.Progress.processed
  /// The caller's, or earlier by the method's timeout.
  private var deadline: NIODeadline?
  private var deadlineTimer: Scheduled<Void>?
  private var retryTimer: Scheduled<Void>?

  private var messageWaiter: CheckedContinuation<Next, Never>?
  private var headersWaiters: [CheckedContinuation<Headers, Never>] = []
  private var sendWaiters: [CheckedContinuation<Outcome?, Never>] = []

  /// Bytes of a request that may wait for a stream before its writer does.
  private static let unsentLimit = 64 * 1024

  enum Next: Sendable {
    case message(ByteBuffer, isCompressed: Bool)
    case end(Outcome, initialMetadata: Metadata)
  }

  enum Headers: Sendable {
    case metadata(Metadata)
    /// The response had no headers of its own.
    case none(Outcome)
  }

  init(
    path: String, kind: MethodKind, options: CallOptions, loop: any EventLoop, router: any Router
  ) {
    self.path = path
    self.kind = kind
    self.options = options
    self.loop = loop
    self.router = router
    state = ClientCallState(kind: kind, maxMessageLength: MessageDeframer.defaultMaxMessageLength)
    retry = RetryState(policy: nil)
    deadline = options.deadline
  }
}

// MARK: - What the caller's tasks ask, on the loop

extension ClientCall {
  /// Begins the call; with a message, when the method takes one, which is also the end of the request.
  func start(_ message: ByteBuffer?) {
    loop.assertInEventLoop()
    guard case .created = phase else { return }  // Cancelled before it began.
    phase = .waiting
    settings = router.settings(for: path)
    state = makeState()
    retry = RetryState(policy: settings.retryPolicy)
    request = RequestLog(limit: settings.retryBufferLimit)
    if let timeout = settings.timeout {
      let limit = loop.now + timeout
      deadline = deadline.map { min($0, limit) } ?? limit
    }
    if let message {
      guard checkSendLimit(message) else { return }
      append(message, mayCompress: true)
      request.hasHalfClosed = true
    }
    if let deadline {
      // W10: a call whose time is up does not open a stream.
      guard deadline > loop.now else { return deadlinePassed() }
      deadlineTimer = loop.scheduleTask(deadline: deadline) { self.deadlinePassed() }
    }
    router.enqueue(self)
  }

  /// The next message, or how the call ended; one caller at a time.
  func next(_ continuation: CheckedContinuation<Next, Never>) {
    loop.assertInEventLoop()
    guard messageWaiter == nil else {
      // A second reader is a mistake in our own program; it is told so instead of the first being lost.
      let outcome = Outcome(code: .internal, message: "A stream's messages were read by two tasks at once.")
      return continuation.resume(returning: .end(outcome, initialMetadata: [:]))
    }
    messageWaiter = continuation
    deliver()
  }

  func initialMetadata(_ continuation: CheckedContinuation<Headers, Never>) {
    loop.assertInEventLoop()
    headersWaiters.append(continuation)
    deliver()
  }

  /// Sends one more message; the continuation gets `nil` when another may follow, or how the call ended.
  func send(_ message: ByteBuffer, mayCompress: Bool, _ continuation: CheckedContinuation<Outcome?, Never>) {
    loop.assertInEventLoop()
    if !request.hasHalfClosed, !isOver, checkSendLimit(message) {
      append(message, mayCompress: mayCompress)
      if case .open(let stream, let connection) = phase {
        request.drain(into: &stream.outbound)
        connection.resume(stream)
      }
    }
    sendWaiters.append(continuation)
    resumeSenders()
  }

  /// No more messages follow.
  func halfClose() {
    loop.assertInEventLoop()
    guard !request.hasHalfClosed, !isOver else { return }
    request.hasHalfClosed = true
    guard case .open(let stream, let connection) = phase else { return }
    state.requestEnded()
    connection.finishRequest(stream)
  }

  func cancel(_ reason: String = "The call was cancelled.") { abort(.cancelled, reason) }

  /// Ends the call from this side.
  func abort(_ code: StatusCode, _ message: String) {
    loop.assertInEventLoop()
    guard !isOver else { return }
    let reset = state.abort(code, message)
    settle(reset)
  }

  private func deadlinePassed() {
    var text = "The deadline has passed"
    switch phase {
    case .waiting:
      text += " while the call waited for a connection"
      if let reason = router.waitingReason { text += "; the last failure: \(reason)" }
    case .created, .open, .over: break
    }
    abort(.deadlineExceeded, text + ".")
  }

  private var isOver: Bool {
    if case .over = phase { true } else { false }
  }

  private func checkSendLimit(_ message: ByteBuffer) -> Bool {
    guard message.readableBytes > settings.maxSendMessageLength else { return true }
    abort(
      .resourceExhausted,
      "A request message of \(path) has \(message.readableBytes) bytes; the limit is \(settings.maxSendMessageLength)"
        + " (option: maxSendMessageLength).")
    return false
  }

  private func append(_ message: ByteBuffer, mayCompress: Bool) {
    var framed = ByteBuffer()
    framed.reserveCapacity(message.readableBytes + MessageFraming.prefixLength)
    MessageFraming.write(message, as: mayCompress ? options.encoding : .identity, into: &framed)
    request.append(framed)
    guard request.isReplayable, router.reserveRetryBuffer(framed.readableBytes) else { return commitRequest() }
    reservedBytes += framed.readableBytes
  }

  /// The call cannot be repeated from here on.
  private func commitRequest() {
    request.commit()
    router.releaseRetryBuffer(reservedBytes)
    reservedBytes = 0
  }

  private func makeState() -> ClientCallState {
    ClientCallState(kind: kind, maxMessageLength: settings.maxReceiveMessageLength, method: path)
  }

  /// Whether it waits while no server can be reached, instead of failing.
  var waitsForReady: Bool { options.waitForReady || settings.waitForReady }
}

// MARK: - What the channel tells

extension ClientCall {
  /// Whether it is still looking for a connection.
  var isWaiting: Bool {
    if case .waiting = phase { true } else { false }
  }

  /// The header block of the next attempt; `nil` when the call failed because it has none (the deadline has passed,
  /// or metadata is illegal).
  func requestHeaders(now: NIODeadline) -> HeaderFields? {
    loop.assertInEventLoop()
    guard isWaiting else { return nil }
    // W6: pseudo-headers, the timeout, the definition of the call, custom metadata.
    var fields: HeaderFields = [
      ":method": "POST", ":scheme": settings.scheme, ":path": path, ":authority": settings.authority,
    ]
    if let deadline {
      guard let timeout = GRPCTimeout.format(.nanoseconds((deadline - now).nanoseconds)) else {
        deadlinePassed()
        return nil
      }
      fields.append("grpc-timeout", timeout)
    }
    fields.append("te", "trailers")
    fields.append("content-type", "application/grpc")
    if options.encoding != .identity { fields.append("grpc-encoding", "\(options.encoding.name)") }
    fields.append("grpc-accept-encoding", "\(MessageEncoding.supported)")
    fields.append("user-agent", settings.userAgent)
    if retry.previousAttempts > 0 { fields.append("grpc-previous-rpc-attempts", String(retry.previousAttempts)) }
    do throws(RPCError) {
      try fields.append(options.metadata)
    } catch {
      abort(error.code, error.message)
      return nil
    }
    return fields
  }

  /// A stream was opened for the call.
  func opened(_ stream: HTTP2Stream, on connection: ClientConnection) {
    phase = .open(stream, connection)
    request.drain(into: &stream.outbound)
    if request.hasHalfClosed {
      state.requestEnded()
      connection.finishRequest(stream)
    } else {
      connection.resume(stream)
      resumeSenders()
    }
  }

  func receivedHeaders(_ fields: HeaderFields, endStream: Bool) {
    settle(state.receivedHeaders(fields, endStream: endStream))
  }

  func receivedTrailers(_ fields: HeaderFields) { settle(state.receivedTrailers(fields)) }

  func receivedData(_ bytes: ByteBuffer, endStream: Bool) {
    settle(state.receivedData(bytes, endStream: endStream))
  }

  func becameWritable() { resumeSenders() }

  /// `nil`: in order on both sides.
  func streamClosed(_ reset: StreamReset?, reason: String) {
    let code = reset?.code ?? .noError
    let deadlinePassed = deadline.map { $0 <= loop.now } ?? false
    progress = reset?.wasNeverSent == true ? .neverSent : .processed
    state.streamClosed(
      code: code.rawValue, codeName: "\(code)", byPeer: reset?.byPeer ?? true, deadlinePassed: deadlinePassed,
      reason: reason)
    settle(nil)
  }

  /// - Parameter wasSent: whether anything of the attempt left this machine's library.
  func connectionLost(_ failure: ConnectFailure, wasSent: Bool) {
    var failure = failure
    failure.attempt = retry.previousAttempts + 1
    progress = wasSent ? .processed : .neverSent
    state.connectionLost("\(failure)")
    settle(nil)
  }
}

// MARK: - After each event

extension ClientCall {
  /// Does what an event led to: a reset, another attempt, the end, or something for a task that waits.
  private func settle(_ reset: ClientCallState.Reset?) {
    if let reset, case .open(let stream, let connection) = phase { connection.reset(stream, reset) }
    if !isOver, let outcome = state.outcome {
      // A reset by our own hand is never a reason to repeat; a refusal of the peer's may be one.
      let isLocal = reset == .cancel
      if case .open(_, let connection) = phase, progress == .processed, !isLocal || outcome.code != .cancelled {
        router.attemptEnded(on: connection, outcome.code)
      }
      if outcome.code != .ok, !isLocal, repeats(after: outcome) { return }
      end(outcome)
    } else if state.initialMetadata != nil, request.isReplayable {
      commitRequest()
    }
    deliver()
    resumeSenders()
  }

  private func repeats(after outcome: Outcome) -> Bool {
    let decision = router.retry(
      &retry, outcome, progress: progress == .processed && outcome.isUnprocessed ? .refused : progress,
      committed: outcome.isCommitted || !request.isReplayable, deadline: deadline)
    progress = .processed
    guard case .retry(let at) = decision else { return false }
    leaveStream()
    phase = .waiting
    state = makeState()
    request.rewind()
    if at <= loop.now {
      router.enqueue(self)
    } else {
      retryTimer = loop.scheduleTask(deadline: at) {
        guard self.isWaiting else { return }
        self.router.enqueue(self)
      }
    }
    return true
  }

  private func end(_ outcome: Outcome) {
    leaveStream()
    phase = .over
    deadlineTimer?.cancel()
    deadlineTimer = nil
    retryTimer?.cancel()
    retryTimer = nil
    commitRequest()
    router.callEnded(self, outcome.code)
  }

  /// Wants nothing more of the attempt's stream; what of the request was not sent yet is not sent any more (W39).
  private func leaveStream() {
    guard case .open(let stream, let connection) = phase else { return }
    if stream.isLocalClosed { connection.forget(stream) } else { connection.reset(stream, .noError) }
  }

  private func deliver() {
    if let metadata = state.initialMetadata, !headersWaiters.isEmpty {
      let waiters = headersWaiters
      headersWaiters = []
      let answer: Headers
      if let outcome = state.outcome, !outcome.isCommitted {
        answer = .none(outcome)
      } else {
        answer = .metadata(metadata)
      }
      for waiter in waiters { waiter.resume(returning: answer) }
    }
    if let waiter = messageWaiter {
      switch state.next() {
      case .message(let message):
        messageWaiter = nil
        waiter.resume(returning: .message(message, isCompressed: state.wasLastMessageCompressed))
      case .end(let outcome):
        messageWaiter = nil
        if !isOver {
          // A message that cannot be read came to light.
          if case .open(let stream, let connection) = phase {
            connection.reset(stream, .cancel)
            router.attemptEnded(on: connection, outcome.code)
          }
          end(outcome)
        }
        waiter.resume(returning: .end(outcome, initialMetadata: state.initialMetadata ?? [:]))
      case .wait: break
      }
    }
    let credit = state.takeCredit()
    if case .open(let stream, let connection) = phase { connection.consume(credit, on: stream) }
  }

  /// Writers go on when their bytes have room, or the call is over.
  private func resumeSenders() {
    guard !sendWaiters.isEmpty else { return }
    let answer: Outcome?
    switch phase {
    case .created, .waiting:
      guard request.unsentByteCount <= Self.unsentLimit else { return }
      answer = nil
    case .open(let stream, let connection):
      guard !connection.isFull(stream) else { return }
      answer = nil
    case .over:
      answer = state.outcome
    }
    let waiters = sendWaiters
    sendWaiters = []
    for waiter in waiters { waiter.resume(returning: answer) }
  }
}
