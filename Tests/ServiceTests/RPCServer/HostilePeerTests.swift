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
    "WIRE 3: a SETTINGS flood ends the connection",
    arguments: [(99, nil), (100, "too_many_settings")] as [(Int, String?)])
  func settings(count: Int, lastWords: String?) async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(Self.flood(count) { builder, _ in builder.frame(.settings) })
    #expect(Self.lastWords(harness) == lastWords)
    #expect(harness.channel.isActive == (lastWords == nil))
  }

  @Test(
    "WIRE 3: an empty DATA flood ends the connection",
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
    "WIRE 3, MadeYouReset: resets that the peer provokes end the connection",
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

  @Test("WIRE 3: a CONTINUATION flood ends the connection")
  func continuation() async throws {
    let harness = try await ServerHarness()
    let flood = Self.flood(20) { builder, index in
      builder.frame(
        index == 0 ? .headers : .continuation, stream: 1, index == 0 ? FrameBuilder.block(Self.request) : [])
    }
    try await harness.sendRaw(flood)
    #expect(!harness.channel.isActive)
  }

  @Test("WIRE 1.1b: 10 000 cancelled calls in a row do not end the connection")
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
