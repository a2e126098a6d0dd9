import HTTP2
import NIOCore
import RPC
import TestSupport
import Testing

@Suite("HTTP2Session as a server, against frames built by hand")
struct HTTP2ServerSessionTests {
  static let request = [
    (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "h"),
    ("content-type", "application/grpc"),
  ]
  static let okHeaders = FixedHeaders([(":status", "200"), ("content-type", "application/grpc")])
  static let okTrailers = FixedHeaders([("grpc-status", "0")])

  @Test("W1: the server's first frame is SETTINGS, and it acknowledges the client's")
  func settingsFirst() throws {
    let peer = SessionUnderTest()
    try peer.send(.clientStart())
    let frames = try peer.frames()
    #expect(frames.first?.kind == FrameBuilder.Kind.settings.rawValue)
    #expect(frames.first?.flags == 0)
    #expect(frames.contains { $0.kind == FrameBuilder.Kind.settings.rawValue && $0.flags == FrameBuilder.ack })
  }

  @Test("S3-stream-limit: the advertised limit is our own")
  func advertisedLimit() throws {
    var configuration = HTTP2Session.Configuration()
    configuration.maxConcurrentStreams = 7
    let peer = SessionUnderTest(configuration)
    let frames = try peer.frames()
    #expect(frames.first?.payload.prefix(6) == [0, 3, 0, 0, 0, 7])
  }

  @Test(
    "S3-stream-limit, S3-stream-limit-early: a stream over the limit is refused, and the connection lives on",
    arguments: [true, false])
  func refusedStream(isAcknowledged: Bool) throws {
    var configuration = HTTP2Session.Configuration()
    configuration.maxConcurrentStreams = 1
    let peer = SessionUnderTest(configuration)
    var builder = FrameBuilder.clientStart()
    if isAcknowledged { builder.frame(.settings, flags: FrameBuilder.ack) }
    builder.headers(1, Self.request)
    builder.headers(3, Self.request)
    try peer.send(builder)
    let frames = try peer.frames()
    #expect(frames.filter { $0.kind == FrameBuilder.Kind.rstStream.rawValue }.map(\.stream) == [3])
    #expect(frames.last?.payload == FrameBuilder.bigEndian(7))
    #expect(!frames.contains { $0.kind == FrameBuilder.Kind.goAway.rawValue })
    #expect(peer.log.last == "headers 1")
    #expect(peer.session.counters.refusedStreams == 1)
  }

  @Test("any cut of the bytes gives the same events", arguments: [1, 2, 3, 7, 64, 1000])
  func anyCut(size: Int) throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    builder.data(1, [0, 0, 0, 0, 1, 42])
    builder.data(1, [], endStream: true)
    builder.headers(3, Self.request, endStream: true)
    builder.reset(1, 8)
    try peer.send(builder, cut: size)
    #expect(
      peer.log == [
        "settings", "headers 1", "data 1 [0, 0, 0, 0, 1, 42]", "data 1 [0, 0, 0, 0, 1, 42] end", "headers 3 end",
        "closed 1 CANCEL by peer",
      ])
  }

  @Test("a response goes out as HEADERS, DATA, HEADERS with END_STREAM")
  func response() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request, endStream: true)
    try peer.send(builder)
    _ = try peer.frames()
    let stream = try #require(peer.session.liveStreams.first)
    stream.outbound.writeBytes([0, 0, 0, 0, 1, 9])
    peer.session.submitResponse(stream, fixed: Self.okHeaders)
    peer.session.finishResponse(stream, fixed: Self.okTrailers)
    let frames = try peer.frames()
    #expect(frames.map(\.kind) == [1, 0, 1])
    #expect(frames.map(\.flags) == [4, 0, 5])
    #expect(frames[1].payload == [0, 0, 0, 0, 1, 9])
    peer.drain()
    #expect(peer.log.last == "closed 1")
    #expect(peer.session.liveStreams.isEmpty)
  }

  @Test("W38: trailers before the client's half-close are followed by RST_STREAM(NO_ERROR)")
  func earlyTrailers() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    try peer.send(builder)
    _ = try peer.frames()
    let stream = try #require(peer.session.liveStreams.first)
    peer.session.submitResponseWithoutBody(stream, fixed: Self.okHeaders, extra: ["grpc-status": "12"])
    let frames = try peer.frames()
    try #require(frames.map(\.kind) == [1, 3])
    #expect(frames[0].flags == 5)
    #expect(frames[1].payload == [0, 0, 0, 0])
  }

  @Test("S3-ignored-data-credit: bytes for a finished stream are credited to the connection")
  func abandonedBytesAreCredited() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    try peer.send(builder)
    let stream = try #require(peer.session.liveStreams.first)
    peer.session.reset(stream, .cancel)
    _ = try peer.frames()
    var flood = FrameBuilder()
    for _ in 0..<64 { flood.data(1, [UInt8](repeating: 0, count: 16_000)) }
    try peer.send(flood)
    let updates = try peer.frames().filter { $0.kind == FrameBuilder.Kind.windowUpdate.rawValue }
    let credited = updates.filter { $0.stream == 0 }.reduce(0) { $0 + Int(UInt32(bigEndianBytes: $1.payload)) }
    #expect(credited >= 512_000)
  }

  @Test("a stream's window opens only as its bytes are consumed")
  func streamBackpressure() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.frame(.settings, flags: FrameBuilder.ack)
    builder.headers(1, Self.request)
    for _ in 0..<16 { builder.data(1, [UInt8](repeating: 0, count: 16_000)) }
    try peer.send(builder)
    let before = try peer.frames().filter { $0.kind == 8 && $0.stream == 1 }
    #expect(before.isEmpty)
    let stream = try #require(peer.session.liveStreams.first)
    peer.session.consume(256_000, on: stream)
    let after = try peer.frames().filter { $0.kind == 8 && $0.stream == 1 }
    #expect(after.map { UInt32(bigEndianBytes: $0.payload) } == [256_000])
  }

  @Test("W16: the limit of a header list is inclusive", arguments: [7_925, 7_926])
  func headerLimit(valueLength: Int) throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request + [("x-a", String(repeating: "v", count: valueLength))])
    builder.headers(3, Self.request)
    try peer.send(builder)
    let first = valueLength == 7_925 ? "headers 1" : "headers 1 over"
    #expect(peer.log == ["settings", first, "headers 3"])
  }

  @Test("W16, S3-cve-hpack-table: what a refused block puts into the shared table is there for the next stream")
  func tableAfterRefusal() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    let filler = (1...3).map { ("x-\($0)", String(repeating: "v", count: 4000)) }
    // After the limit: a literal field that enters the table (RFC 7541 6.2.1), as entry 62.
    let indexed = [0x40, 3] + Array("x-k".utf8) + [5] + Array("value".utf8)
    builder.frame(
      .headers, flags: FrameBuilder.endHeaders, stream: 1, FrameBuilder.block(Self.request + filler) + indexed)
    builder.frame(.headers, flags: FrameBuilder.endHeaders, stream: 3, FrameBuilder.block(Self.request) + [0xBE])
    try builder.bytes.withUnsafeBytes { try peer.session.receive($0) }
    var blocks: [HeaderFields] = []
    while let event = peer.session.nextEvent() {
      if case .headers(_, let fields, _) = event { blocks.append(fields) }
    }
    #expect(blocks.map(\.isOverLimit) == [true, false])
    let last = try #require(blocks.last?.fields.last)
    #expect(blocks.last?.name(of: last) == "x-k")
    #expect(blocks.last?.value(of: last) == "value")
  }

  @Test("S3-large-outgoing-headers: a block that the library does not send resets its stream instead of hanging it")
  func largeOutgoingBlock() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request, endStream: true)
    try peer.send(builder)
    _ = try peer.frames()
    let stream = try #require(peer.session.liveStreams.first)
    let big = String(repeating: "v", count: 70_000)
    peer.session.submitResponseWithoutBody(stream, fixed: Self.okHeaders, extra: ["x-big": big])
    let frames = try peer.frames()
    #expect(frames.map(\.kind) == [FrameBuilder.Kind.rstStream.rawValue])
    peer.drain()
    #expect(peer.session.liveStreams.isEmpty)
  }

  @Test("S3-edge-spaces: spaces around a value do not end the stream")
  func edgeSpaces() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request + [("x-a", " v ")])
    try peer.send(builder)
    #expect(peer.log == ["settings", "headers 1"])
  }

  @Test("W46: a PING is echoed exactly")
  func ping() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
    try peer.send(builder)
    let pong = ParsedFrame(kind: 6, flags: 1, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(try peer.frames().contains(pong))
  }

  @Test("W45: GOAWAY comes twice; streams in between are served, later ones ignored")
  func gracefulShutdown() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    try peer.send(builder)
    _ = try peer.frames()
    peer.session.beginShutdown()
    let first = try peer.frames()
    #expect(first.map(\.kind) == [7])
    #expect(first[0].payload == [0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
    var more = FrameBuilder()
    more.headers(3, Self.request)
    try peer.send(more)
    #expect(peer.log.last == "headers 3")
    peer.session.finishShutdown()
    let second = try peer.frames()
    #expect(second.map(\.kind) == [7])
    #expect(second[0].payload == [0, 0, 0, 3, 0, 0, 0, 0])
    var late = FrameBuilder()
    late.headers(5, Self.request)
    try peer.send(late)
    #expect(peer.log.last == "headers 3")
    #expect(!peer.session.isFinished)
  }

  @Test("S3-rapid-reset: 5000 cancelled streams in a row do not end the connection")
  func manyResets() throws {
    let peer = SessionUnderTest()
    var builder = FrameBuilder.clientStart()
    for index in 0..<5_000 {
      let id = UInt32(index * 2 + 1)
      builder.headers(id, Self.request)
      builder.reset(id, 8)
    }
    try peer.send(builder)
    #expect(try !peer.frames().contains { $0.kind == FrameBuilder.Kind.goAway.rawValue })
    #expect(peer.session.counters.resets == 5_000)
    #expect(peer.session.liveStreams.isEmpty)
  }

  @Test("a bad preface is an error of the session")
  func badPreface() throws {
    let peer = SessionUnderTest()
    let bytes = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    #expect(throws: HTTP2SessionError.self) {
      try bytes.withUnsafeBytes { try peer.session.receive($0) }
    }
  }
}

@Suite("HTTP2Session as a client, against frames built by hand")
struct HTTP2ClientSessionTests {
  @Test("W1, W3: a client sends the preface and SETTINGS with ENABLE_PUSH=0, and requests before the server's SETTINGS")
  func start() throws {
    let peer = SessionUnderTest(role: .client)
    let stream = try #require(peer.session.submitRequest([":method": "POST", ":path": "/a.B/C", ":scheme": "http"]))
    peer.session.finishRequest(stream)
    let bytes = try peer.bytes()
    #expect(Array(bytes.prefix(24)) == FrameBuilder.preface)
    let frames = ParsedFrame.parse(Array(bytes.dropFirst(24)))
    #expect(frames.first?.kind == FrameBuilder.Kind.settings.rawValue)
    #expect(frames.first?.payload.prefix(6) == [0, 2, 0, 0, 0, 0])
    #expect(frames.contains { $0.kind == FrameBuilder.Kind.headers.rawValue && $0.stream == 1 })
  }

  @Test("W3: PUSH_PROMISE from a server is a PROTOCOL_ERROR of the connection")
  func push() throws {
    let peer = SessionUnderTest(role: .client)
    _ = peer.session.submitRequest([":method": "POST", ":path": "/a.B/C", ":scheme": "http"])
    _ = try peer.bytes()
    var builder = FrameBuilder()
    builder.frame(.settings)
    builder.frame(.settings, flags: FrameBuilder.ack)
    let promise = FrameBuilder.bigEndian(2) + FrameBuilder.block(HTTP2ServerSessionTests.request)
    builder.frame(.pushPromise, flags: FrameBuilder.endHeaders, stream: 1, promise)
    try peer.send(builder)
    let goAway = try peer.frames().first { $0.kind == FrameBuilder.Kind.goAway.rawValue }
    #expect(goAway.map { Array($0.payload[4..<8]) } == FrameBuilder.bigEndian(1))
  }
}

/// A server session with a log of its events.
final class SessionUnderTest {
  let session: HTTP2Session
  private(set) var log: [String] = []

  init(_ configuration: HTTP2Session.Configuration = .init(), role: HTTP2Session.Role = .server) {
    session = HTTP2Session(role: role, configuration: configuration)
  }

  func send(_ builder: FrameBuilder, cut: Int = .max) throws {
    var rest = builder.bytes[...]
    while !rest.isEmpty {
      try Array(rest.prefix(cut)).withUnsafeBytes { try session.receive($0) }
      rest = rest.dropFirst(cut)
      drain()
    }
  }

  func drain() {
    while let event = session.nextEvent() { log.append(describe(event)) }
  }

  func bytes() throws -> [UInt8] {
    var buffer = ByteBuffer()
    while try session.produce(into: &buffer) {}
    return Array(buffer.readableBytesView)
  }

  func frames() throws -> [ParsedFrame] { ParsedFrame.parse(try bytes()) }

  private func describe(_ event: HTTP2Event) -> String {
    switch event {
    case .headers(let stream, let fields, let end):
      "headers \(stream.id)" + (fields.isOverLimit ? " over" : "") + (end ? " end" : "")
    case .trailers(let stream, _): "trailers \(stream.id)"
    case .data(let stream, let end):
      "data \(stream.id) \(Array(stream.inbound.readableBytesView.prefix(16)))" + (end ? " end" : "")
    case .writable(let stream): "writable \(stream.id)"
    case .closed(let stream, nil): "closed \(stream.id)"
    case .closed(let stream, let reset?): "closed \(stream.id) \(reset.code)" + (reset.byPeer ? " by peer" : "")
    case .settings: "settings"
    case .settingsAcknowledged: "settings ack"
    case .ping: "ping"
    case .pingAcknowledged(let payload): "ping ack \(payload)"
    case .goAway(let id, let code, let text): "goaway \(id) \(code) \(text)"
    }
  }
}
