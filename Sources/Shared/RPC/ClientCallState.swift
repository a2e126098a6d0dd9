package import NIOCore

/// What a client knows of one attempt of a call: events of its HTTP/2 stream go in, messages and at last the call's
/// outcome come out. Pure: no stream, clock or task inside.
///
/// A driver tells each event and sends the reset that it is told to. Whenever its caller waits for something, it asks
/// ``next()``, and afterwards returns ``takeCredit()`` bytes to the stream's flow-control window; so the window opens
/// as messages are taken, and while one is being waited for.
///
/// Sources: gRPC over HTTP/2; WIRE W18–W42.
package struct ClientCallState: Sendable {
  /// The RST_STREAM that an event calls for.
  package enum Reset: UInt32, Sendable, Hashable {
    case noError = 0
    case protocolError = 1
    case cancel = 8
  }

  package enum Next: Sendable, Equatable {
    case message(ByteBuffer)
    /// Nothing yet.
    case wait
    case end(Outcome)
  }

  /// How an attempt ended.
  package struct Outcome: Sendable, Equatable {
    package var code: StatusCode
    package var message: String
    /// `grpc-status-details-bin`, decoded from base64: a serialized `google.rpc.Status`.
    package var statusDetails: [UInt8] = []
    package var trailingMetadata: Metadata = [:]
    /// The server certainly did not process it (REFUSED_STREAM).
    package var isUnprocessed = false
    /// The response began with headers of its own, which commits a call to this attempt (W54).
    package var isCommitted = false
    /// Value of `grpc-retry-pushback-ms`.
    package var retryPushback: String?
    /// The one message of a method that has one, when the status is OK.
    package var response: ByteBuffer?
    /// Whether that came compressed.
    package var wasResponseCompressed = false

    package init(code: StatusCode, message: String) {
      self.code = code
      self.message = message
    }
  }

  enum Phase {
    case awaitingHeaders
    case receiving(Response)
    /// The outcome is known; messages may be left to take.
    case ended(Outcome)
  }

  struct Response {
    var httpStatus: Int
    /// `nil` when it is one of gRPC's.
    var foreignContentType: String?
    /// What a response that is not gRPC says, up to ``ClientCallState/maxQuotedBytes``.
    var quotedBody: [UInt8] = []
    var quotesBody: Bool { foreignContentType != nil || httpStatus != 200 }
  }

  /// Of the body of a response that is not gRPC, this much goes into the status message (W35).
  static let maxQuotedBytes = 1024

  let hasSingleResponse: Bool
  var deframer: MessageDeframer
  var phase = Phase.awaitingHeaders
  var hasHalfClosed = false
  var received = ByteBuffer()
  private var singleResponse: ByteBuffer?
  private var uncredited = 0
  private var credit = 0

  /// The response's custom metadata, once its headers are in; empty for a response that is only trailers.
  package internal(set) var initialMetadata: Metadata?

  /// - Parameter maxMessageLength: limit on one response message, inclusive (W22).
  package init(kind: MethodKind, maxMessageLength: Int, method: String = "") {
    switch kind {
    case .unary, .clientStreaming: hasSingleResponse = true
    case .serverStreaming, .bidirectionalStreaming: hasSingleResponse = false
    }
    deframer = MessageDeframer(maxMessageLength: maxMessageLength, option: "maxReceiveMessageLength")
    deframer.method = method
  }

  /// Whether the message that ``next()`` gave last came compressed.
  package var wasLastMessageCompressed: Bool { deframer.wasLastCompressed }

  package var hasEnded: Bool { outcome != nil }

  /// How the attempt ended, once that is known; for the caller it is the end only after the messages that came before.
  package var outcome: Outcome? {
    if case .ended(let outcome) = phase { outcome } else { nil }
  }
}

// MARK: - Taking

extension ClientCallState {
  /// The next message, or the outcome once all messages were taken (W42).
  ///
  /// A message that breaks a rule is found here when others were before it: ``outcome`` is nil before and not after;
  /// then the stream is to be reset.
  package mutating func next() -> Next {
    guard !hasSingleResponse else {
      if case .ended(let outcome) = phase { return .end(outcome) }
      return .wait
    }
    do throws(RPCError) {
      if let message = try takeMessage() { return .message(message) }
      if case .ended(let outcome) = phase, outcome.code == .ok, deframer.isInsideMessage(received) {
        throw Self.endedInsideMessage
      }
    } catch {
      fail(error)
    }
    if case .ended(let outcome) = phase { return .end(outcome) }
    release(uncredited)
    return .wait
  }

  /// Bytes to return to the stream's flow-control window since this was last asked.
  package mutating func takeCredit() -> Int {
    defer { credit = 0 }
    return credit
  }

  private mutating func release(_ count: Int) {
    let released = min(count, uncredited)
    uncredited -= released
    credit += released
  }

  private mutating func takeMessage() throws(RPCError) -> ByteBuffer? {
    guard let message = try deframer.next(from: &received) else { return nil }
    release(deframer.lastWireLength + MessageFraming.prefixLength)
    if received.readableBytes == 0 { received = ByteBuffer() }
    return message
  }
}

// MARK: - Events of the request

extension ClientCallState {
  /// All of the request was handed to the stream.
  package mutating func requestEnded() { hasHalfClosed = true }

  package mutating func cancelled(_ reason: String = "The call was cancelled.") -> Reset? {
    abort(.cancelled, reason)
  }

  package mutating func deadlineExceeded(_ text: String = "The deadline has passed.") -> Reset? {
    abort(.deadlineExceeded, text)
  }

  /// Ends the call from this side, for example because a request message is over the send limit.
  package mutating func abort(_ code: StatusCode, _ message: String) -> Reset? {
    guard !hasEnded else { return nil }  // Decided already; the status that came stands.
    received = ByteBuffer()
    release(uncredited)
    finish(code, message)
    return .cancel
  }
}

// MARK: - Events of the response

extension ClientCallState {
  package mutating func receivedData(_ bytes: ByteBuffer, endStream: Bool) -> Reset? {
    var bytes = bytes
    uncredited += bytes.readableBytes
    switch phase {
    case .ended:
      release(uncredited)
      return nil
    case .awaitingHeaders:
      finish(.internal, "The server sent DATA before headers.")
      return .protocolError
    case .receiving(var response) where response.quotesBody:
      release(uncredited)
      let room = Self.maxQuotedBytes - response.quotedBody.count
      response.quotedBody += bytes.readBytes(length: min(room, bytes.readableBytes)) ?? []
      phase = .receiving(response)
      if endStream { finishWithoutTrailers(response) }
      return nil
    case .receiving(let response):
      if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
      if let reset = hasSingleResponse ? collectSingleResponse() : checkPrefix() { return reset }
      if endStream { finishWithoutTrailers(response) }
      return nil
    }
  }

  /// RST_STREAM, from the peer or from our own library because the peer broke a rule.
  ///
  /// - Parameters:
  ///   - codeName: the code's name and `reason` what more is known, both for the status message.
  package mutating func streamClosed(
    code: UInt32, codeName: String, byPeer: Bool, deadlinePassed: Bool, reason: String = ""
  ) {
    guard !hasEnded else { return }
    let who = byPeer ? "The server reset the stream" : "The stream was reset"
    let text = "\(who) with \(codeName)" + (reason.isEmpty ? "." : ": \(reason)")
    let refusedStream: UInt32 = 7
    let mapped = StatusCode(http2ErrorCode: code)
    if deadlinePassed, mapped == .cancelled {
      finish(.deadlineExceeded, "The deadline has passed.")
    } else {
      finish(mapped, text, isUnprocessed: code == refusedStream)
    }
  }

  /// The connection ended while the call was under way.
  package mutating func connectionLost(_ reason: String) {
    guard !hasEnded else { return }
    finish(.unavailable, "The connection was lost: \(reason)")
  }

  private mutating func collectSingleResponse() -> Reset? {
    do throws(RPCError) {
      while let message = try takeMessage() {
        guard singleResponse == nil else {
          throw RPCError(.unimplemented, "The server sent more than one message to a method that has one response.")
        }
        singleResponse = message
      }
      release(uncredited)
      return nil
    } catch {
      return abort(error.code, error.message)
    }
  }

  /// Refuses the message at the head as soon as its prefix is seen, so that its bytes are not waited for.
  private mutating func checkPrefix() -> Reset? {
    var (deframer, bytes) = (deframer, received)
    do throws(RPCError) {
      try deframer.readPrefix(from: &bytes)
      return nil
    } catch {
      return abort(error.code, error.message)
    }
  }

  private mutating func finishWithoutTrailers(_ response: Response) {
    if response.quotesBody {
      let (code, message) = response.foreignStatus
      finish(code, message)
    } else {
      finish(.internal, "The server ended the response without trailers.")
    }
  }
}

// MARK: - Ending

extension ClientCallState {
  static let endedInsideMessage = RPCError(.internal, "The response ended in the middle of a message.")

  mutating func finish(_ code: StatusCode, _ message: String, isUnprocessed: Bool = false) {
    var outcome = Outcome(code: code, message: message)
    outcome.isUnprocessed = isUnprocessed
    finish(outcome)
  }

  /// Makes `outcome` the call's, unless a single response contradicts its OK (W23, W26).
  mutating func finish(_ outcome: Outcome) {
    var outcome = outcome
    if case .receiving = phase { outcome.isCommitted = true }
    phase = .ended(outcome)
    if initialMetadata == nil { initialMetadata = [:] }
    guard hasSingleResponse, outcome.code == .ok else { return }
    if deframer.isInsideMessage(received) {
      fail(Self.endedInsideMessage)
    } else if let singleResponse {
      outcome.response = singleResponse
      outcome.wasResponseCompressed = deframer.wasLastCompressed
      phase = .ended(outcome)
    } else {
      fail(RPCError(.unimplemented, "The server sent no message to a method that has one response."))
    }
  }

  /// The messages cannot be read on: that is the outcome, whatever was said.
  private mutating func fail(_ error: RPCError) {
    var outcome = Outcome(code: error.code, message: error.message)
    outcome.isCommitted = true
    phase = .ended(outcome)
    received = ByteBuffer()
    deframer.forgetMessage()
    release(uncredited)
  }
}
