import NIOCore
import RPC
import Testing

@Suite struct ClientCallStateTests {
  private func state(_ kind: MethodKind = .unary, limit: Int = 100) -> ClientCallState {
    ClientCallState(kind: kind, maxMessageLength: limit)
  }

  private let ok: HeaderFields = ["grpc-status": "0"]

  private func headers(_ extra: (String, String)...) -> HeaderFields {
    var fields: HeaderFields = [":status": "200", "content-type": "application/grpc"]
    for (name, value) in extra { fields.append(name, value) }
    return fields
  }

  /// Prefix and payload, spelled out.
  private func message(_ text: String, flag: UInt8 = 0) -> [UInt8] {
    [flag, 0, 0, 0, UInt8(text.utf8.count)] + text.utf8
  }

  private func outcome(_ state: inout ClientCallState) throws -> ClientCallState.Outcome {
    guard case .end(let outcome) = state.next() else {
      throw RPCError(.internal, "the call has not ended")
    }
    return outcome
  }

  // MARK: Single response

  @Test("headers, one message and trailers are a response")
  func unary() throws {
    var state = state()
    state.requestEnded()
    #expect(state.receivedHeaders(headers(("x-a", "1")), endStream: false) == nil)
    #expect(state.initialMetadata == ["x-a": "1"])
    #expect(state.receivedData(ByteBuffer(bytes: message("hi")), endStream: false) == nil)
    #expect(state.next() == .wait)
    #expect(state.receivedTrailers(["grpc-status": "0", "x-b": "2", "x-c-bin": "AAEC"]) == nil)
    let outcome = try outcome(&state)
    #expect(outcome.code == .ok)
    #expect(outcome.response == ByteBuffer(string: "hi"))
    #expect(outcome.trailingMetadata == ["x-b": "2", "x-c-bin": .binary([0, 1, 2])])
    #expect(outcome.isCommitted)
  }

  @Test("any cut of the bytes gives the same messages (W17)", arguments: 1...9)
  func cuts(size: Int) throws {
    var state = state(.serverStreaming)
    _ = state.receivedHeaders(headers(), endStream: false)
    let bytes = message("one") + message("") + message("three")
    var messages: [String] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      let cut = bytes[start..<min(start + size, bytes.count)]
      #expect(state.receivedData(ByteBuffer(bytes: cut), endStream: false) == nil)
      while case .message(let message) = state.next() { messages.append(String(buffer: message)) }
    }
    #expect(messages == ["one", "", "three"])
    _ = state.receivedTrailers(ok)
    #expect(try outcome(&state).code == .ok)
  }

  @Test("OK without a message, and two messages, are UNIMPLEMENTED for a single response (W26)")
  func cardinality() throws {
    var none = state()
    _ = none.receivedHeaders(headers(), endStream: false)
    _ = none.receivedTrailers(ok)
    #expect(try outcome(&none).code == .unimplemented)

    var two = state()
    _ = two.receivedHeaders(headers(), endStream: false)
    #expect(two.receivedData(ByteBuffer(bytes: message("a") + message("b")), endStream: false) == .cancel)
    #expect(try outcome(&two).code == .unimplemented)
  }

  @Test("a status that is not OK wins over a message that came (W26)")
  func statusWins() throws {
    var state = state()
    _ = state.receivedHeaders(headers(), endStream: false)
    _ = state.receivedData(ByteBuffer(bytes: message("a")), endStream: false)
    _ = state.receivedTrailers(["grpc-status": "5", "grpc-message": "no %C3%A9 %"])
    let outcome = try outcome(&state)
    #expect(outcome.code == .notFound)
    #expect(outcome.message == "no é %")
    #expect(outcome.response == nil)
  }

  // MARK: Trailers

  @Test("a single block with END_STREAM is the status, and commits to nothing (W30, W54)")
  func trailersOnly() throws {
    var state = state()
    state.requestEnded()
    let reset = state.receivedHeaders(
      headers(("grpc-status", "14"), ("grpc-retry-pushback-ms", "25"), ("grpc-status-details-bin", "CA4=")),
      endStream: true)
    #expect(reset == nil)
    let outcome = try outcome(&state)
    #expect(outcome.code == .unavailable)
    #expect(outcome.retryPushback == "25")
    #expect(outcome.statusDetails == [8, 14])
    #expect(!outcome.isCommitted)
    #expect(state.initialMetadata == [:])
  }

  @Test("grpc-status in headers that do not end the stream is ignored (W30)")
  func statusInHeaders() throws {
    var state = state()
    _ = state.receivedHeaders(headers(("grpc-status", "9")), endStream: false)
    #expect(state.next() == .wait)
    _ = state.receivedData(ByteBuffer(bytes: message("a")), endStream: false)
    _ = state.receivedTrailers(ok)
    #expect(try outcome(&state).code == .ok)
  }

  @Test(
    "grpc-status is read leniently, and what is no code is UNKNOWN (W29, W36)",
    arguments: [
      ("00", StatusCode.ok), ("16", .unauthenticated), ("17", .unknown), ("x", .unknown), ("-1", .unknown),
      ("", .unknown), ("4294967301", .unknown),
    ])
  func statusForms(text: String, code: StatusCode) throws {
    var state = state(.serverStreaming)
    _ = state.receivedHeaders(headers(), endStream: false)
    _ = state.receivedTrailers(["grpc-status": text])
    let outcome = try outcome(&state)
    #expect(outcome.code == code)
    #expect(code != .unknown || outcome.message.contains("'\(text)'"))
  }

  @Test("trailers before our half-close are answered by RST_STREAM(NO_ERROR) (W39)")
  func earlyTrailers() throws {
    var open = state(.clientStreaming)
    _ = open.receivedHeaders(headers(), endStream: false)
    #expect(open.receivedTrailers(["grpc-status": "8"]) == .noError)
    #expect(try outcome(&open).code == .resourceExhausted)
    var closed = state(.clientStreaming)
    closed.requestEnded()
    _ = closed.receivedHeaders(headers(), endStream: false)
    #expect(closed.receivedTrailers(["grpc-status": "8"]) == nil)
  }

  @Test("a -bin value that is no base64 ends the call, not more")
  func badBinary() throws {
    var state = state()
    #expect(state.receivedHeaders(headers(("x-bin", "*")), endStream: false) == .cancel)
    #expect(try outcome(&state).code == .internal)
  }

  @Test("header blocks over the limit are RESOURCE_EXHAUSTED (W16)")
  func overLimit() throws {
    var fields = headers()
    fields.isOverLimit = true
    var state = state()
    #expect(state.receivedHeaders(fields, endStream: false) == .cancel)
    #expect(try outcome(&state).code == .resourceExhausted)
  }

  // MARK: Broken peers

  @Test(
    "without grpc-status the HTTP status decides (W33)",
    arguments: [
      ("400", StatusCode.internal), ("401", .unauthenticated), ("403", .permissionDenied), ("404", .unimplemented),
      ("429", .unavailable), ("502", .unavailable), ("503", .unavailable), ("504", .unavailable), ("431", .internal),
      ("200", .unknown), ("302", .unknown), ("500", .unknown),
    ])
  func httpStatus(status: String, code: StatusCode) throws {
    var state = state()
    _ = state.receivedHeaders([":status": status, "content-type": "text/html"], endStream: true)
    let outcome = try outcome(&state)
    #expect(outcome.code == code)
    #expect(outcome.message.contains(status))
  }

  @Test("grpc-status wins over the HTTP status (W33)")
  func grpcStatusWins() throws {
    var state = state()
    _ = state.receivedHeaders([":status": "503", "content-type": "application/grpc"], endStream: false)
    _ = state.receivedTrailers(["grpc-status": "7"])
    #expect(try outcome(&state).code == .permissionDenied)
  }

  @Test("a body that is not gRPC is quoted, up to 1 KiB (W35)")
  func foreignBody() throws {
    var state = state()
    _ = state.receivedHeaders([":status": "200", "content-type": "text/html"], endStream: false)
    let body = "<h1>Bad gateway</h1>" + String(repeating: "x", count: 3000)
    #expect(state.receivedData(ByteBuffer(string: body), endStream: true) == nil)
    #expect(state.takeCredit() == body.utf8.count)
    let outcome = try outcome(&state)
    #expect(outcome.code == .unknown)
    #expect(outcome.message.contains("text/html"))
    #expect(outcome.message.contains("<h1>Bad gateway</h1>"))
    #expect(outcome.message.utf8.count < 1200)
  }

  @Test("informational responses are skipped; one that ends the stream is malformed (W34)")
  func informational() throws {
    var state = state()
    #expect(state.receivedHeaders([":status": "103", "link": "x"], endStream: false) == nil)
    #expect(state.initialMetadata == nil)
    _ = state.receivedHeaders(headers(), endStream: false)
    _ = state.receivedData(ByteBuffer(bytes: message("a")), endStream: false)
    _ = state.receivedTrailers(ok)
    #expect(try outcome(&state).code == .ok)

    var ended = self.state()
    _ = ended.receivedHeaders([":status": "100"], endStream: true)
    #expect(try outcome(&ended).code == .internal)
  }

  @Test("a response that ends without trailers, or within a message, is INTERNAL (W23, W37)")
  func truncated() throws {
    var noTrailers = state()
    _ = noTrailers.receivedHeaders(headers(), endStream: false)
    _ = noTrailers.receivedData(ByteBuffer(bytes: message("a")), endStream: true)
    #expect(try outcome(&noTrailers).code == .internal)

    for kind in [MethodKind.unary, .serverStreaming] {
      var cut = state(kind)
      _ = cut.receivedHeaders(headers(), endStream: false)
      _ = cut.receivedData(ByteBuffer(bytes: message("abc").dropLast()), endStream: false)
      #expect(cut.next() == .wait)
      _ = cut.receivedTrailers(ok)
      #expect(try outcome(&cut).code == .internal)
    }
  }

  @Test("compression that was not asked for, and flags that are not defined, are INTERNAL (W18, W20)")
  func compression() throws {
    var encoding = state()
    #expect(encoding.receivedHeaders(headers(("grpc-encoding", "zstd")), endStream: false) == .cancel)
    #expect(try outcome(&encoding).code == .internal)
    for flag in [UInt8(1), 2, 255] {
      var state = state(.serverStreaming)
      _ = state.receivedHeaders(headers(("grpc-encoding", "identity")), endStream: false)
      #expect(state.receivedData(ByteBuffer(bytes: message("a", flag: flag)), endStream: false) == .cancel)
      #expect(try outcome(&state).code == .internal)
    }
  }

  /// "ab" fifty times, as Python's gzip and zlib compress it.
  private static let compressed: [String: [UInt8]] = [
    "gzip": [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 76, 74, 164, 57, 4, 0, 44, 47, 244, 93, 100, 0, 0, 0],
    "deflate": [120, 156, 75, 76, 74, 164, 57, 4, 0, 132, 11, 38, 23],
  ]

  private func compressed(_ encoding: String) -> [UInt8] {
    let payload = Self.compressed[encoding] ?? []
    return [1, 0, 0, 0, UInt8(payload.count)] + payload
  }

  @Test(
    "the one response is inflated, and told apart from an uncompressed one (W18, W19)", arguments: ["gzip", "deflate"])
  func compressedResponse(encoding: String) throws {
    for (bytes, text, isCompressed) in [
      (compressed(encoding), String(repeating: "ab", count: 50), true), (message("as it is"), "as it is", false),
      (message("", flag: 1), "", true),
    ] {
      var state = state()
      _ = state.receivedHeaders(headers(("grpc-encoding", encoding)), endStream: false)
      #expect(state.receivedData(ByteBuffer(bytes: bytes), endStream: false) == nil)
      _ = state.receivedTrailers(ok)
      let outcome = try outcome(&state)
      #expect(outcome.response == ByteBuffer(string: text))
      #expect(outcome.wasResponseCompressed == isCompressed)
    }
  }

  @Test("each message of a stream is compressed or not on its own, however it is cut (W17, W19)", arguments: 1...9)
  func compressedStream(size: Int) throws {
    var state = state(.serverStreaming)
    _ = state.receivedHeaders(headers(("grpc-encoding", "gzip")), endStream: false)
    let bytes = compressed("gzip") + message("b") + message("", flag: 1) + compressed("gzip")
    var flags: [Bool] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      let cut = bytes[start..<min(start + size, bytes.count)]
      #expect(state.receivedData(ByteBuffer(bytes: cut), endStream: false) == nil)
      while case .message = state.next() { flags.append(state.wasLastMessageCompressed) }
    }
    #expect(flags == [true, false, true, true])
  }

  @Test("the bytes that a compressed message had on the wire are what the window gets back")
  func compressedCredit() {
    var state = state(.serverStreaming)
    _ = state.receivedHeaders(headers(("grpc-encoding", "gzip")), endStream: false)
    let bytes = compressed("gzip")
    _ = state.receivedData(ByteBuffer(bytes: bytes), endStream: false)
    _ = state.next()
    #expect(state.takeCredit() == bytes.count)
  }

  @Test("what cannot be inflated is INTERNAL, and the limit counts what comes out (W20, W22)")
  func compressedFailures() throws {
    for kind in [MethodKind.unary, .serverStreaming] {
      for (bytes, limit, code) in [
        (message("not gzip", flag: 1), 100, StatusCode.internal), (compressed("gzip"), 99, .resourceExhausted),
      ] {
        var state = state(kind, limit: limit)
        _ = state.receivedHeaders(headers(("grpc-encoding", "gzip")), endStream: false)
        _ = state.receivedData(ByteBuffer(bytes: bytes), endStream: false)
        #expect(try outcome(&state).code == code)
      }
    }
  }

  @Test("the receive limit holds at the prefix: n passes, n + 1 does not (W22)")
  func limit() throws {
    for kind in [MethodKind.unary, .bidirectionalStreaming] {
      var fits = state(kind, limit: 3)
      _ = fits.receivedHeaders(headers(), endStream: false)
      #expect(fits.receivedData(ByteBuffer(bytes: message("abc")), endStream: false) == nil)
      var over = state(kind, limit: 3)
      _ = over.receivedHeaders(headers(), endStream: false)
      #expect(over.receivedData(ByteBuffer(bytes: [0, 0, 0, 0, 4]), endStream: false) == .cancel)
      let outcome = try outcome(&over)
      #expect(outcome.code == .resourceExhausted)
      #expect(outcome.message.contains("4") && outcome.message.contains("3"))
    }
  }

  @Test(
    "resets map to statuses (2.8)",
    arguments: zip(
      0...14 as ClosedRange<UInt32>,
      [
        StatusCode.internal, .internal, .internal, .internal, .internal, .internal, .internal, .unavailable,
        .cancelled, .internal, .internal, .resourceExhausted, .permissionDenied, .internal, .internal,
      ]))
  func resets(code: UInt32, status: StatusCode) throws {
    var state = state()
    state.streamClosed(code: code, codeName: "X", byPeer: true, deadlinePassed: false)
    let outcome = try outcome(&state)
    #expect(outcome.code == status)
    #expect(outcome.isUnprocessed == (code == 7))
  }

  @Test("CANCEL after the deadline is DEADLINE_EXCEEDED (W41)")
  func cancelAfterDeadline() throws {
    var state = state()
    state.streamClosed(code: 8, codeName: "CANCEL", byPeer: true, deadlinePassed: true)
    #expect(try outcome(&state).code == .deadlineExceeded)
  }

  @Test("a lost connection is UNAVAILABLE, also after headers (W37)")
  func lost() throws {
    var state = state()
    _ = state.receivedHeaders(headers(), endStream: false)
    state.connectionLost("reset by peer")
    let outcome = try outcome(&state)
    #expect(outcome.code == .unavailable)
    #expect(outcome.isCommitted)
  }

  @Test("events after the end change nothing")
  func afterEnd() throws {
    var state = state()
    #expect(state.deadlineExceeded() == .cancel)
    #expect(state.cancelled() == nil)
    #expect(state.receivedHeaders(headers(), endStream: false) == nil)
    #expect(state.receivedData(ByteBuffer(bytes: message("a")), endStream: false) == nil)
    #expect(state.takeCredit() == 6)
    #expect(state.receivedTrailers(ok) == nil)
    state.streamClosed(code: 8, codeName: "CANCEL", byPeer: false, deadlinePassed: false)
    #expect(try outcome(&state).code == .deadlineExceeded)
  }

  @Test("random header blocks and bytes never trap, and an ended call stays ended", arguments: 0..<50 as Range<UInt64>)
  func noise(seed: UInt64) {
    var random = Noise(state: seed)
    var state = state(random.next() % 2 == 0 ? .unary : .serverStreaming, limit: 20)
    for _ in 0..<40 {
      let wasEnded = state.hasEnded
      switch random.next() % 5 {
      case 0: _ = state.receivedHeaders(random.headers(), endStream: random.next() % 4 == 0)
      case 1: _ = state.receivedTrailers(random.headers())
      case 2: _ = state.next()
      default: _ = state.receivedData(ByteBuffer(bytes: random.bytes()), endStream: random.next() % 8 == 0)
      }
      #expect(!wasEnded || state.hasEnded)
    }
    state.connectionLost("end of test")
    while case .message = state.next() {}
    #expect(state.hasEnded)
  }

  // MARK: Flow control

  @Test("credit is held while messages wait to be taken, and given while one is waited for")
  func credit() {
    var state = state(.serverStreaming)
    _ = state.receivedHeaders(headers(), endStream: false)
    _ = state.receivedData(ByteBuffer(bytes: message("one") + message("two") + [0, 0]), endStream: false)
    #expect(state.takeCredit() == 0)
    #expect(state.next() == .message(ByteBuffer(string: "one")))
    #expect(state.takeCredit() == 8)
    #expect(state.next() == .message(ByteBuffer(string: "two")))
    #expect(state.takeCredit() == 8)
    #expect(state.next() == .wait)
    #expect(state.takeCredit() == 2)
    #expect(state.takeCredit() == 0)
  }

  @Test("a single response is waited for all the time")
  func creditOfSingle() {
    var state = state()
    _ = state.receivedHeaders(headers(), endStream: false)
    _ = state.receivedData(ByteBuffer(bytes: message("abc").dropLast()), endStream: false)
    #expect(state.takeCredit() == 7)
  }

  @Test("messages that came before the status are delivered before it (W42)")
  func order() throws {
    var state = state(.serverStreaming)
    _ = state.receivedHeaders(headers(), endStream: false)
    _ = state.receivedData(ByteBuffer(bytes: message("a")), endStream: false)
    _ = state.receivedTrailers(["grpc-status": "10"])
    #expect(state.next() == .message(ByteBuffer(string: "a")))
    #expect(try outcome(&state).code == .aborted)
    #expect(try outcome(&state).code == .aborted)
  }
}

private struct Noise {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 33
  }

  mutating func bytes() -> [UInt8] {
    (0..<next() % 24).map { _ in UInt8(truncatingIfNeeded: next() % 3 == 0 ? next() : next() % 4) }
  }

  mutating func headers() -> HeaderFields {
    let choices: [(String, [String])] = [
      (":status", ["200", "100", "abc", "503"]), ("content-type", ["application/grpc", "text/plain", "\u{FFFD}"]),
      ("grpc-status", ["0", "99", "x"]), ("grpc-message", ["%", "%ZZ", "%FF"]), ("x-bin", ["AA==", "=", "AA,AA"]),
      ("grpc-encoding", ["gzip", "identity"]),
    ]
    var fields = HeaderFields()
    for (name, values) in choices where next() % 2 == 0 {
      fields.append(name, values[Int(next() % UInt64(values.count))])
    }
    return fields
  }
}
