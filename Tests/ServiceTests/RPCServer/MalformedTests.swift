import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

/// What RFC 9113 calls malformed or an error, in frames built by hand, and what its sections say must follow.
@Suite("A server and malformed frames")
struct MalformedTests {
  static let request = HostilePeerTests.request

  static func request(without name: String) -> [(String, String)] { request.filter { $0.0 != name } }
  static func request(with more: (String, String)...) -> [(String, String)] { request + more }
  static func request(_ name: String, _ value: String) -> [(String, String)] {
    request.map { $0.0 == name ? (name, value) : $0 }
  }

  /// A request that RFC 9113 8.1.1 and 8.3.1 make a stream error, and that no status can answer.
  static let malformedRequests: [String: [(String, String)]] = [
    "S3-malformed-request: te other than trailers": request(with: ("te", "gzip")),
    "S3-malformed-request: connection": request(with: ("connection", "close")),
    "S3-malformed-request: keep-alive": request(with: ("keep-alive", "timeout=5")),
    "S3-malformed-request: proxy-connection": request(with: ("proxy-connection", "close")),
    "S3-malformed-request: transfer-encoding": request(with: ("transfer-encoding", "chunked")),
    "S3-malformed-request: upgrade": request(with: ("upgrade", "h2c")),
    "S3-malformed-request: upper case": request(with: ("X-A", "1")),
    "S3-malformed-request: empty path": request(":path", ""),
    "S3-malformed-request: path without a slash": request(":path", "test.Test/Unary"),
    "S3-malformed-request: no path": request(without: ":path"),
    "S3-malformed-request: no method": request(without: ":method"),
    "S3-malformed-request: no scheme": request(without: ":scheme"),
    "S3-malformed-request: neither authority nor host": request(without: ":authority"),
    "S3-malformed-request: path twice": [(":path", "/test.Test/Unary")] + request,
    "S3-malformed-request: unknown pseudo header": [(":foo", "bar")] + request,
    "S3-malformed-request: a response's pseudo header": [(":status", "200")] + request,
    "S3-malformed-request: pseudo header after a field": [("x-a", "1")] + request,
    "S3-malformed-request: a line break in a value": request(with: ("x-a", "1\r\nx-b: 2")),
    "S3-malformed-request: a name with a space": request(with: ("x a", "1")),
    "S3-malformed-request: content-length that does not fit": request(with: ("content-length", "7")),
    "W4: a value that starts with NUL": request(with: ("x-a-bin", "\0abc")),
  ]

  @Test(
    "S3-malformed-request, W4: it is reset with PROTOCOL_ERROR, and the next call is served",
    arguments: malformedRequests.keys.sorted())
  func malformedRequest(name: String) async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, try #require(Self.malformedRequests[name]), endStream: true)
    builder.headers(3, Self.request)
    builder.data(3, ServerHarness.framed([42]), endStream: true)
    try await harness.sendRaw(builder)
    let frames = ParsedFrame.parse(harness.sentBytes)
    let resets = frames.filter { $0.kind == FrameBuilder.Kind.rstStream.rawValue }
    #expect(resets.map(\.stream) == [1])
    #expect(resets.map(\.payload) == [FrameBuilder.bigEndian(1)])
    #expect(frames.contains { $0.stream == 3 && $0.payload == ServerHarness.framed([42]) })
  }

  @Test("S3-malformed-request: a second block without END_STREAM is reset")
  func secondHeaders() async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    builder.headers(1, [("x-a", "1")])
    try await harness.sendRaw(builder)
    let resets = ParsedFrame.parse(harness.sentBytes).filter { $0.kind == FrameBuilder.Kind.rstStream.rawValue }
    #expect(resets.map(\.payload) == [FrameBuilder.bigEndian(1)])
    #expect(harness.channel.isActive)
  }

  /// What follows the client's start, the GOAWAY code that RFC 9113 asks for, and its section.
  static let connectionErrors: [String: (code: UInt32, frames: @Sendable (inout FrameBuilder) -> Void)] = [
    "W3: PUSH_PROMISE from a client (8.4)": (1, { $0.frame(.pushPromise, flags: 4, stream: 1, [0, 0, 0, 2]) }),
    "DATA on stream 0 (6.1)": (1, { $0.frame(.data, [1]) }),
    "HEADERS on stream 0 (6.2)": (1, { $0.frame(.headers, flags: 5, FrameBuilder.block(Self.request)) }),
    "HEADERS on an even stream (5.1.1)": (1, { $0.headers(2, Self.request) }),
    "HEADERS with more padding than bytes (6.2)": (1, { $0.frame(.headers, flags: 13, stream: 1, [200, 0]) }),
    "a block that is no HPACK (4.3)": (9, { $0.frame(.headers, flags: 5, stream: 1, [0xFF, 0xFF, 0xFF, 0xFF]) }),
    "a block that names an entry that is not there (4.3)": (9, { $0.frame(.headers, flags: 5, stream: 1, [0xBE]) }),
    "RST_STREAM on an idle stream (6.4)": (1, { $0.reset(1, 8) }),
    "RST_STREAM of three bytes (6.4)": (
      6,
      {
        $0.headers(1, Self.request); $0.frame(.rstStream, stream: 1, [0, 0, 0])
      }
    ),
    "SETTINGS of five bytes (6.5)": (6, { $0.frame(.settings, [0, 1, 0, 0, 0]) }),
    "SETTINGS on a stream (6.5)": (1, { $0.frame(.settings, stream: 1) }),
    "an acknowledgement with a payload (6.5)": (6, { $0.frame(.settings, flags: 1, [0, 3, 0, 0, 0, 1]) }),
    "a window beyond 2^31-1 (6.5.2)": (3, { $0.frame(.settings, [0, 4, 0xFF, 0xFF, 0xFF, 0xFF]) }),
    "a frame size below 2^14 (6.5.2)": (1, { $0.frame(.settings, [0, 5, 0, 0, 0, 1]) }),
    "PING of seven bytes (6.7)": (6, { $0.frame(.ping, [1, 2, 3, 4, 5, 6, 7]) }),
    "PING on a stream (6.7)": (1, { $0.frame(.ping, stream: 1, [1, 2, 3, 4, 5, 6, 7, 8]) }),
    "GOAWAY on a stream (6.8)": (1, { $0.frame(.goAway, stream: 1, [0, 0, 0, 0, 0, 0, 0, 0]) }),
    "WINDOW_UPDATE of nothing (6.9)": (1, { $0.frame(.windowUpdate, [0, 0, 0, 0]) }),
    "the connection's window beyond 2^31-1 (6.9.1)": (3, { $0.frame(.windowUpdate, [0x7F, 0xFF, 0xFF, 0xFF]) }),
    "CONTINUATION without HEADERS (6.10)": (1, { $0.frame(.continuation, flags: 4, stream: 1, []) }),
    "another frame within a header block (6.10)": (
      1,
      {
        $0.frame(.headers, stream: 1, FrameBuilder.block(Self.request))
        $0.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
      }
    ),
    "a frame larger than allowed (4.2)": (
      6,
      {
        $0.headers(1, Self.request)
        $0.frame(.data, stream: 1, [UInt8](repeating: 0, count: 16_385))
      }
    ),
  ]

  @Test(
    "W3: an error of the connection is told by GOAWAY and ends it",
    arguments: connectionErrors.keys.sorted())
  func connectionError(name: String) async throws {
    let harness = try await ServerHarness()
    let (code, frames) = try #require(Self.connectionErrors[name])
    var builder = FrameBuilder.clientStart()
    frames(&builder)
    try await harness.sendRaw(builder)
    let goAway = ParsedFrame.parse(harness.sentBytes).last { $0.kind == FrameBuilder.Kind.goAway.rawValue }
    #expect(goAway.map { Array($0.payload[4..<8]) } == FrameBuilder.bigEndian(code))
    #expect(!harness.channel.isActive)
  }

  /// What must not matter.
  static let ignored: [String: @Sendable (inout FrameBuilder) -> Void] = [
    "W5: an unknown frame type": { $0.unknownFrame(0xFA, [1, 2, 3]) },
    "W5: an unknown frame type on a stream": { $0.unknownFrame(0xFA, stream: 5, [1, 2, 3]) },
    "W5: an unknown setting": { $0.frame(.settings, [0xAB, 0xCD, 0, 0, 0, 1]) },
    "W4: a peer that offers true binary metadata": { $0.frame(.settings, [0xFE, 0x03, 0, 0, 0, 1]) },
    "W5: PRIORITY": { $0.frame(.priority, stream: 7, [0, 0, 0, 0, 16]) },
    "W5: PRIORITY_UPDATE": { $0.unknownFrame(0x10, [0, 0, 0, 1, 0x75]) },
    "W7: a request without te": { $0.headers(1, Self.request(without: "te"), endStream: true) },
    "an unknown flag on PING": { $0.frame(.ping, flags: 0xF0, [1, 2, 3, 4, 5, 6, 7, 8]) },
    "PING's answer that nobody asked for": { $0.frame(.ping, flags: 1, [1, 2, 3, 4, 5, 6, 7, 8]) },
    "S3-headers-lower-id: HEADERS on a lower stream that is closed": {
      $0.headers(3, Self.request, endStream: true)
      $0.headers(1, Self.request, endStream: true)
    },
  ]

  @Test("W4, W5, W7, S3-headers-lower-id: what is to be ignored is, and calls go on", arguments: ignored.keys.sorted())
  func isIgnored(name: String) async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    let addFrames = try #require(Self.ignored[name])
    addFrames(&builder)
    try await harness.sendRaw(builder)
    var call = FrameBuilder()
    call.headers(9, Self.request)
    call.data(9, ServerHarness.framed([42]), endStream: true)
    try await harness.sendRaw(call)
    let frames = ParsedFrame.parse(harness.sentBytes)
    #expect(frames.contains { $0.stream == 9 && $0.payload == ServerHarness.framed([42]) })
    #expect(harness.channel.isActive)
  }

  @Test("W1: each SETTINGS that is no acknowledgement is acknowledged, in order")
  func acknowledgements() async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    builder.frame(.ping, [1, 1, 1, 1, 1, 1, 1, 1])
    builder.frame(.settings, [0, 4, 0, 1, 0, 0])
    builder.frame(.settings, flags: FrameBuilder.ack)
    try await harness.sendRaw(builder)
    let frames = ParsedFrame.parse(harness.sentBytes)
    #expect(
      frames.first.map { [$0.kind, $0.flags] } == [FrameBuilder.Kind.settings.rawValue, 0], "W1: SETTINGS first")
    #expect(frames.filter { $0.kind == FrameBuilder.Kind.settings.rawValue && $0.flags == FrameBuilder.ack }.count == 2)
  }

  @Test("S3-data-after-close: DATA on a stream that both sides ended is dropped, its bytes credited to the connection")
  func dataAfterClose() async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    builder.data(1, ServerHarness.framed([1]), endStream: true)
    try await harness.sendRaw(builder)
    for _ in 0..<64 {
      var late = FrameBuilder()
      late.data(1, [UInt8](repeating: 0, count: 16_000))
      try await harness.sendRaw(late)
    }
    var call = FrameBuilder()
    call.headers(3, Self.request)
    call.data(3, ServerHarness.framed([42]), endStream: true)
    try await harness.sendRaw(call)
    let frames = ParsedFrame.parse(harness.sentBytes)
    #expect(frames.contains { $0.stream == 3 && $0.payload == ServerHarness.framed([42]) })
    let updates = frames.filter { $0.kind == FrameBuilder.Kind.windowUpdate.rawValue && $0.stream == 0 }
    let credited: Int = updates.map { Int(UInt32(bigEndianBytes: $0.payload)) }.reduce(0, +)
    #expect(credited >= 512_000)
  }

  @Test("S3-request-trailers: a request's trailers end it, whatever they hold")
  func requestTrailers() async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request)
    builder.data(1, ServerHarness.framed([42]))
    builder.headers(1, [("x-a", "1"), ("grpc-status", "5")], endStream: true)
    try await harness.sendRaw(builder)
    let frames = ParsedFrame.parse(harness.sentBytes)
    #expect(frames.contains { $0.stream == 1 && $0.payload == ServerHarness.framed([42]) })
  }

  @Test("S3-cve-bad-bin: a -bin value that is no base64 ends its call, not the connection (CVE-2023-32732)")
  func badBinaryMetadata() async throws {
    let harness = try await ServerHarness()
    let bad = try await harness.call(ServerHarness.request("Unary", [("x-a-bin", "!!!")]), ServerHarness.framed([]))
    #expect(bad.status == "13")
    #expect(try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([])).status == "0")
  }

  @Test(
    "S3-cve-path: interceptors see exactly the path that was routed, and nothing like it is routed (CVE-2026-33186)",
    arguments: ["test.Test/Unary", "//test.Test/Unary", "/test.Test/Unary/", "/test.Test//Unary", "/test.test/Unary"])
  func pathVariants(path: String) async throws {
    let harness = try await ServerHarness(
      TestService(unary: { _, context in
        Issue.record("routed as \(context.path)")
        return Bytes("")
      }))
    var builder = FrameBuilder.clientStart()
    builder.headers(1, Self.request(":path", path), endStream: true)
    try await harness.sendRaw(builder)
    #expect(harness.server.callsInFlight == 0)
  }

  @Test("S3-fatal-session: after a fatal error the socket is closed at once, and late bytes do no harm")
  func fatal() async throws {
    let harness = try await ServerHarness()
    _ = try? await harness.channel.writeInbound(ByteBuffer(bytes: FrameBuilder.preface.dropLast() + [0]))
    #expect(!harness.channel.isActive)
    _ = try? await harness.channel.writeInbound(ByteBuffer(bytes: FrameBuilder.preface))
    #expect(harness.server.callsInFlight == 0)
  }
}
