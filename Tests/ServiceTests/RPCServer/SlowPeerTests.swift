import HTTP2
import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

@Suite("A server and peers that are slow on purpose")
struct SlowPeerTests {
  /// The connection is set up: nothing but what a test does can end it.
  static func start() -> FrameBuilder {
    var builder = FrameBuilder.clientStart()
    builder.frame(.settings, flags: FrameBuilder.ack)
    return builder
  }

  static func last(_ harness: ServerHarness, _ kind: FrameBuilder.Kind) -> ParsedFrame? {
    ParsedFrame.parse(harness.sentBytes).last { $0.kind == kind.rawValue }
  }

  /// The first half of a header block, cut within a frame or between two.
  static func half(isFrameCut: Bool) -> FrameBuilder {
    var builder = start()
    builder.frame(.headers, stream: 1, FrameBuilder.block(HostilePeerTests.request))
    return isFrameCut ? builder.cut(by: 20) : builder
  }

  @Test("S3-half-header-block: a header block has ten seconds from its first byte", arguments: [true, false])
  func headerBlock(isFrameCut: Bool) async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(Self.start())
    await harness.loop.advanceTime(by: .seconds(60))
    try await harness.sendRaw(Self.half(isFrameCut: isFrameCut).withoutStart)
    await harness.loop.advanceTime(by: .milliseconds(9_999))
    #expect(harness.channel.isActive)
    await harness.loop.advanceTime(by: .milliseconds(1))
    #expect(!harness.channel.isActive)
    #expect(harness.server.budgetTrips == [.headerBlockTime: 1])
  }

  @Test("S3-half-header-block: bytes that trickle do not prolong the time, and the next block has its own")
  func tricklingBlock() async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(Self.start())
    var block = FrameBuilder()
    block.headers(1, HostilePeerTests.request)
    for byte in block.bytes.prefix(9) {
      try await harness.channel.writeInbound(ByteBuffer(bytes: [byte]))
      await harness.loop.advanceTime(by: .seconds(1))
    }
    try await harness.channel.writeInbound(ByteBuffer(bytes: block.bytes.dropFirst(9)))
    await harness.loop.advanceTime(by: .seconds(60))
    #expect(harness.channel.isActive)
    var next = FrameBuilder()
    next.headers(3, HostilePeerTests.request)
    try await harness.channel.writeInbound(ByteBuffer(bytes: next.bytes.prefix(9)))
    for byte in next.bytes.dropFirst(9).prefix(10) {
      try await harness.channel.writeInbound(ByteBuffer(bytes: [byte]))
      await harness.loop.advanceTime(by: .seconds(1))
    }
    #expect(!harness.channel.isActive)
  }

  static let megabytes = TestService(pull: { _, response, _ in
    for _ in 0..<1000 { try await response.write(Bytes([UInt8](repeating: 7, count: 100_000))) }
  })

  /// A call for a hundred megabytes by a peer with a window of `window` bytes.
  static func bigCall(window: UInt32) -> FrameBuilder {
    var builder = FrameBuilder()
    builder.frame(.settings, [0, 4] + FrameBuilder.bigEndian(window))
    builder.headers(1, HostilePeerTests.request.map { $0.0 == ":path" ? ($0.0, "/test.Test/Pull") : $0 })
    builder.data(1, ServerHarness.framed([]), endStream: true)
    return builder
  }

  @Test(
    "S3-slow-reader: a call whose caller reads nothing for a minute is reset, its handler cancelled; others live on")
  func readsNothing() async throws {
    let harness = try await ServerHarness(Self.megabytes)
    try await harness.sendRaw(Self.start())
    try await harness.sendRaw(Self.bigCall(window: 1000))
    await harness.loop.advanceTime(by: .seconds(60))
    #expect(Self.last(harness, .rstStream) == nil, "the first look only marks what waits")
    await harness.loop.advanceTime(by: .seconds(60))
    await harness.loop.run()
    try await harness.sendRaw(FrameBuilder())
    #expect(Self.last(harness, .rstStream)?.payload == FrameBuilder.bigEndian(11))
    #expect(harness.server.budgetTrips == [.streamStall: 1])
    while harness.server.callsInFlight > 0 { await harness.loop.run() }
    #expect(harness.channel.isActive)
  }

  @Test("S3-slow-reader: windows of a byte at a time are no progress; a kilobyte a minute is", arguments: [1023, 1024])
  func dribble(bytes: Int) async throws {
    let harness = try await ServerHarness(Self.megabytes)
    try await harness.sendRaw(Self.start())
    try await harness.sendRaw(Self.bigCall(window: 0))
    await harness.loop.advanceTime(by: .seconds(60))
    for _ in 0..<bytes {
      var update = FrameBuilder()
      update.frame(.windowUpdate, stream: 1, FrameBuilder.bigEndian(1))
      try await harness.sendRaw(update)
    }
    await harness.loop.advanceTime(by: .seconds(60))
    try await harness.sendRaw(FrameBuilder())
    #expect((Self.last(harness, .rstStream) == nil) == (bytes == 1024))
    try await harness.channel.close().get()
  }

  @Test("S3-slow-reader: a socket that takes nothing for a minute is closed")
  func blockedSocket() async throws {
    let harness = try await ServerHarness()
    try await harness.sendRaw(Self.start())
    let channel = harness.channel
    channel.isWritable = false
    try await harness.loop.executeInContext { channel.pipeline.fireChannelWritabilityChanged() }
    await harness.loop.advanceTime(by: .milliseconds(59_999))
    #expect(channel.isActive)
    await harness.loop.advanceTime(by: .milliseconds(1))
    #expect(!channel.isActive)
    #expect(harness.server.budgetTrips == [.connectionStall: 1])
  }

  @Test("S3-slow-reader: answers that a blocked socket does not take are bounded")
  func unsentFrames() async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxUnsentFrames = 100
    let harness = try await ServerHarness(configuration: configuration)
    try await harness.sendRaw(Self.start())
    let channel = harness.channel
    channel.isWritable = false
    try await harness.loop.executeInContext { channel.pipeline.fireChannelWritabilityChanged() }
    var flood = FrameBuilder()
    for index in 0..<102 {
      flood.headers(UInt32(index * 2 + 1), [(":method", "POST")], endStream: true)  // malformed: each is reset
    }
    try await harness.sendRaw(flood)
    #expect(!channel.isActive)
    #expect(harness.server.budgetTrips == [.unsentFrames: 1])
  }

  @Test("S3-slow-reader: what waits on a connection is bounded: a call that would add to it fails")
  func bufferedBytes() async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxBufferedBytes = 250_000
    let harness = try await ServerHarness(
      TestService(unary: { _, _ in Bytes([UInt8](repeating: 7, count: 100_000)) }), configuration: configuration)
    var builder = Self.start()
    builder.frame(.settings, [0, 4, 0, 0, 0, 0])
    for index in 0..<20 {
      builder.headers(UInt32(index * 2 + 1), HostilePeerTests.request)
      builder.data(UInt32(index * 2 + 1), ServerHarness.framed([]), endStream: true)
    }
    try await harness.sendRaw(builder)
    let headers = ParsedFrame.parse(harness.sentBytes).filter { $0.kind == FrameBuilder.Kind.headers.rawValue }
    let answeredAtOnce = headers.filter { $0.flags & FrameBuilder.endStream != 0 }.map(\.stream)
    // Three responses are held; the third brings it over the limit, so that the fourth and the later ones fail.
    let expected: [UInt32] = (3..<20).map { UInt32($0 * 2 + 1) }
    #expect(answeredAtOnce == expected)
    #expect(harness.server.budgetTrips == [.bufferedBytes: 17])
  }

  @Test("S3-idle: calls in flight, connections without calls and half-closed ones hold what they said they hold")
  func idle() async throws {
    var configuration = RPCServerConfiguration()
    configuration.connection.maxIdle = .seconds(300)
    let harness = try await ServerHarness(configuration: configuration)
    try await harness.exchange()
    try await harness.advance(by: .seconds(299))
    #expect(harness.channel.isActive)
    try await harness.advance(by: .seconds(1))
    #expect(!harness.channel.isActive)
  }
}

extension FrameBuilder {
  /// Without the preface and the SETTINGS that ``SlowPeerTests/start()`` begins with.
  fileprivate var withoutStart: FrameBuilder {
    FrameBuilder(bytes: Array(bytes.dropFirst(SlowPeerTests.start().bytes.count)))
  }
  fileprivate func cut(by count: Int) -> FrameBuilder { FrameBuilder(bytes: Array(bytes.dropLast(count))) }
}
