import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

@Suite("A server and peers that mean no good, in frames built by hand")
struct HostilePeerTests {
  static let request = [
    (":method", "POST"), (":scheme", "http"), (":path", "/test.Test/Unary"), (":authority", "h"),
    ("content-type", "application/grpc"),
  ]

  /// The connection's start, with as many of a frame as given.
  static func flood(_ count: Int, _ add: (inout FrameBuilder, Int) -> Void) -> FrameBuilder {
    var builder = FrameBuilder.clientStart()
    for index in 0..<count { add(&builder, index) }
    return builder
  }

  /// The last GOAWAY's debug data.
  static func lastWords(_ harness: ServerHarness) -> String? {
    ParsedFrame.parse(harness.sentBytes).last { $0.kind == FrameBuilder.Kind.goAway.rawValue }
      .map { String(decoding: $0.payload.dropFirst(8), as: UTF8.self) }
  }

  @Test(
    "S3-settings-flood: a SETTINGS flood ends the connection",
    arguments: [(99, nil), (100, "too_many_settings")] as [(Int, String?)])
  func settings(count: Int, lastWords: String?) async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(Self.flood(count) { builder, _ in builder.frame(.settings) })
    #expect(Self.lastWords(harness) == lastWords)
    #expect(harness.channel.isActive == (lastWords == nil))
  }

  @Test("S3-settings-flood: so does one that comes in a single read, in its own name")
  func settingsInOneRead() async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(Self.flood(5000) { builder, _ in builder.frame(.settings) })
    #expect(!harness.channel.isActive)
    #expect(harness.server.budgetTrips == [.settings: 1])
  }

  @Test(
    "S3-empty-data: an empty DATA flood ends the connection",
    arguments: [(1000, nil), (1001, "too_many_empty_data_frames")] as [(Int, String?)])
  func emptyData(count: Int, lastWords: String?) async throws {
    let harness = try await ServerHarness()
    let flood = Self.flood(count + 1) { builder, index in
      if index == 0 { builder.headers(1, Self.request) } else { builder.data(1, []) }
    }
    try await harness.sendRaw(flood)
    #expect(Self.lastWords(harness) == lastWords)
    #expect(harness.channel.isActive == (lastWords == nil))
  }

  @Test(
    "S3-made-you-reset: resets that the peer provokes end the connection",
    arguments: [(100, nil), (101, "too_many_provoked_resets")] as [(Int, String?)])
  func provokedResets(count: Int, lastWords: String?) async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(.clientStart())
    for index in 0..<count {
      let id = UInt32(index * 2 + 1)
      var builder = FrameBuilder()
      builder.headers(id, Self.request)
      // A window beyond 2^31-1 is a stream error (RFC 9113 6.9.1).
      builder.frame(.windowUpdate, stream: id, [0x7F, 0xFF, 0xFF, 0xFF])
      try await harness.sendRaw(builder)
    }
    #expect(Self.lastWords(harness) == lastWords)
  }

  @Test("S3-continuation-flood: a CONTINUATION flood ends the connection, and is counted")
  func continuation() async throws {
    let harness = try await ServerHarness()
    let flood = Self.flood(20) { builder, index in
      builder.frame(
        index == 0 ? .headers : .continuation, stream: 1, index == 0 ? FrameBuilder.block(Self.request) : [])
    }
    try await harness.sendRaw(flood)
    #expect(!harness.channel.isActive)
    #expect(harness.server.budgetTrips == [.continuations: 1])
  }

  @Test("S3-rapid-reset: 10 000 cancelled calls in a row do not end the connection")
  func manyCancels() async throws {
    let harness = try await ServerHarness()
    for batch in 0..<10 {
      let flood = (0..<1000).reduce(into: batch == 0 ? FrameBuilder.clientStart() : FrameBuilder()) { builder, index in
        let id = UInt32((batch * 1000 + index) * 2 + 1)
        builder.headers(id, Self.request)
        builder.reset(id, 8)
      }
      try await harness.sendRaw(flood)
    }
    #expect(harness.channel.isActive)
    #expect(harness.server.callsInFlight == 0)
  }

  /// Calls whose handlers run, each reset in a read of its own, as a batch of so many.
  static func startedResets(_ count: Int, from first: Int, on harness: ServerHarness) async throws {
    var opened = first == 0 ? FrameBuilder.clientStart() : FrameBuilder()
    var reset = FrameBuilder()
    for index in first..<first + count {
      let id = UInt32(index * 2 + 1)
      opened.headers(id, Self.request.map { $0.0 == ":path" ? ($0.0, "/test.Test/Both") : $0 })
      reset.reset(id, 8)
    }
    try await harness.sendRaw(opened)
    try await harness.sendRaw(reset)
  }

  @Test(
    "S3-rapid-reset: resets of calls that had started end the connection, above the limit",
    arguments: [(60, nil), (61, "too_many_started_resets")] as [(Int, String?)])
  func startedResets(count: Int, lastWords: String?) async throws {
    var configuration = RPCServerConfiguration()
    configuration.budget.startedResets = 60
    let harness = try await ServerHarness(configuration: configuration)
    try await Self.startedResets(count, from: 0, on: harness)
    #expect(Self.lastWords(harness) == lastWords)
    #expect(harness.server.callsInFlight == 0)
    #expect(harness.server.budgetTrips == (lastWords == nil ? [:] : [.startedResets: 1]))
  }

  @Test("S3-rapid-reset: many resets everywhere leave each connection a tenth of its allowance")
  func resetsEverywhere() async throws {
    var configuration = RPCServerConfiguration()
    configuration.budget.startedResets = 100
    configuration.budget.resetsOfAllConnections = 40
    let harness = try await ServerHarness(configuration: configuration)
    try await Self.startedResets(40, from: 0, on: harness)
    #expect(Self.lastWords(harness) == nil)
    try await Self.startedResets(1, from: 40, on: harness)
    #expect(Self.lastWords(harness) == "too_many_started_resets")
  }

  @Test("S3-rapid-reset: the allowance is for a window of time")
  func resetWindow() async throws {
    var configuration = RPCServerConfiguration()
    configuration.budget.startedResets = 60
    let harness = try await ServerHarness(configuration: configuration)
    try await Self.startedResets(60, from: 0, on: harness)
    var acknowledgement = FrameBuilder()
    acknowledgement.frame(.settings, flags: FrameBuilder.ack)
    try await harness.sendRaw(acknowledgement)
    await harness.loop.advanceTime(by: .seconds(30))
    try await Self.startedResets(60, from: 60, on: harness)
    #expect(Self.lastWords(harness) == nil)
  }

  @Test("S3-header-list: a block that decodes to a megabyte and more ends the connection (HPACK bomb)")
  func headerBomb() async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    // One field of 4000 bytes enters the table (RFC 7541 6.2.1), then its index is named again and again.
    let field = [0x40, 3] + Array("x-b".utf8) + [0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x62, count: 4000)
    let block = FrameBuilder.block(Self.request) + field + [UInt8](repeating: 0xBE, count: 7900)
    builder.frame(.headers, flags: FrameBuilder.endHeaders, stream: 1, block)
    try await harness.sendRaw(builder)
    #expect(!harness.channel.isActive)
    #expect(harness.server.budgetTrips == [.decodedHeaders: 1])
  }

  @Test(
    "S3-header-list: header blocks over the limit cost their call, and the connection when there are too many",
    arguments: [(50, nil), (51, "too_many_oversized_headers")] as [(Int, String?)])
  func oversizedHeaders(count: Int, lastWords: String?) async throws {
    var configuration = RPCServerConfiguration()
    configuration.budget.oversizedHeaders = 50
    let harness = try await ServerHarness(configuration: configuration)
    let flood = Self.flood(count) { builder, index in
      let big = ("x-b", String(repeating: "b", count: 9000))
      builder.headers(UInt32(index * 2 + 1), Self.request + [big], endStream: true)
    }
    try await harness.sendRaw(flood)
    #expect(Self.lastWords(harness) == lastWords)
  }

  @Test(
    "S3-ping-flood: PINGs end the connection even while responses forgive them",
    arguments: [(10_000, nil), (10_001, "too_many_pings")] as [(Int, String?)])
  func pings(count: Int, lastWords: String?) async throws {
    var configuration = RPCServerConfiguration()
    configuration.connection.forgivenPings = .max
    let harness = try await ServerHarness(configuration: configuration)
    for batch in 0..<20 {
      let pings = (0..<count / 20).reduce(into: batch == 0 ? FrameBuilder.clientStart() : FrameBuilder()) {
        builder, _ in
        builder.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
      }
      try await harness.sendRaw(pings)
    }
    var last = FrameBuilder()
    if lastWords != nil { last.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8]) }
    try await harness.sendRaw(last)
    #expect(Self.lastWords(harness) == lastWords)
  }

  @Test("garbage after a valid preface never does worse than end the connection", arguments: 0..<200)
  func garbage(seed: Int) async throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    for _ in 0..<20 {
      let kind = FrameBuilder.Kind(rawValue: UInt8.random(in: 0...9, using: &generator)) ?? .data
      let stream = UInt32.random(in: 0...5, using: &generator)
      let payload = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      if Bool.random(using: &generator) { builder.headers(stream | 1, Self.request) }
      builder.frame(kind, flags: UInt8.random(in: 0...255, using: &generator), stream: stream, payload)
    }
    try await harness.sendRaw(builder)
    try? await harness.channel.close().get()
    #expect(harness.server.callsInFlight == 0)
  }
}
