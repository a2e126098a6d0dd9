import HTTP2
import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

@Suite("A server's connections: drain, keepalive, limits in time")
struct ConnectionTests {
  @Test("W45: the drain says GOAWAY twice, serves what came in between, and closes when calls are done")
  func drain() async throws {
    let harness = try await ServerHarness()
    let call = harness.open(ServerHarness.request("Both"))
    try await harness.exchange()
    harness.server.beginGracefulShutdown()
    try await harness.exchange()
    #expect(harness.goAways == ["2147483647 NO_ERROR ", "1 NO_ERROR "])
    #expect(harness.channel.isActive)
    call.outbound.writeBytes(ServerHarness.framed([1]))
    harness.client.finishRequest(call)
    try await harness.exchange()
    #expect(harness.replies[1]?.messages == [[1]])
    #expect(harness.replies[1]?.status == "0")
    #expect(!harness.channel.isActive)
    try await harness.server.run()
  }

  @Test("W45: what outlasts the grace of a shutdown is ended")
  func hardEnd() async throws {
    var configuration = RPCServerConfiguration()
    configuration.shutdownGrace = .seconds(5)
    let harness = try await ServerHarness(configuration: configuration)
    _ = harness.open(ServerHarness.request("Both"))
    try await harness.exchange()
    harness.server.beginGracefulShutdown()
    try await harness.advance(by: .milliseconds(4999))
    #expect(harness.channel.isActive)
    try await harness.advance(by: .milliseconds(1))
    #expect(!harness.channel.isActive)
    try await harness.server.run()
  }

  @Test("an idle connection is closed at once by a shutdown")
  func idleDrain() async throws {
    let harness = try await ServerHarness()
    _ = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    harness.server.beginGracefulShutdown()
    try await harness.exchange()
    #expect(!harness.channel.isActive)
  }

  @Test(
    "S3-slow-loris: a peer that does not speak HTTP/2, or does not acknowledge SETTINGS, is cut off in time",
    arguments: [[], FrameBuilder.preface, FrameBuilder.clientStart().bytes] as [[UInt8]])
  func handshakeTimeout(bytes: [UInt8]) async throws {
    let harness = try await ServerHarness()
    if !bytes.isEmpty { try await harness.channel.writeInbound(ByteBuffer(bytes: bytes)) }
    await harness.loop.advanceTime(by: .milliseconds(9_999))
    #expect(harness.channel.isActive)
    await harness.loop.advanceTime(by: .milliseconds(1))
    #expect(!harness.channel.isActive)
    #expect(harness.server.budgetTrips == [.handshakeTime: 1])
  }

  @Test("bytes that are no HTTP/2 end the connection")
  func garbage() async throws {
    let harness = try await ServerHarness()
    try await harness.channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    #expect(!harness.channel.isActive)
  }

  @Test("W48: the fourth early PING is too many")
  func pingStrikes() async throws {
    let harness = try await ServerHarness()
    try await harness.exchange()
    for index in 1...4 {
      #expect(harness.channel.isActive)
      harness.client.ping(UInt64(index))
      try await harness.exchange()
    }
    #expect(harness.goAways == ["0 ENHANCE_YOUR_CALM too_many_pings"])
    #expect(!harness.channel.isActive)
  }

  @Test("W49: an idle connection is drained after its time, and a call starts the time anew")
  func maxIdle() async throws {
    var configuration = RPCServerConfiguration()
    configuration.connection.maxIdle = .seconds(60)
    let harness = try await ServerHarness(configuration: configuration)
    try await harness.exchange()
    try await harness.advance(by: .seconds(50))
    _ = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    try await harness.advance(by: .seconds(59))
    #expect(harness.channel.isActive)
    try await harness.advance(by: .seconds(1))
    #expect(harness.goAways.first == "2147483647 NO_ERROR ")
    #expect(!harness.channel.isActive)
  }

  @Test("an unanswered keepalive ping ends the connection")
  func keepalive() async throws {
    var configuration = RPCServerConfiguration()
    configuration.connection.keepaliveTime = .seconds(30)
    configuration.connection.keepaliveTimeout = .seconds(20)
    let harness = try await ServerHarness(configuration: configuration)
    try await harness.exchange()
    await harness.loop.advanceTime(by: .seconds(30))
    let ping = try #require(try await harness.channel.readOutbound(as: ByteBuffer.self))
    #expect(ParsedFrame.parse(Array(ping.readableBytesView)).map(\.kind) == [FrameBuilder.Kind.ping.rawValue])
    await harness.loop.advanceTime(by: .milliseconds(19_999))
    #expect(harness.channel.isActive)
    await harness.loop.advanceTime(by: .milliseconds(1))
    #expect(!harness.channel.isActive)
  }

  @Test("S3-one-owner: the answers to all that one read brought go out in one write")
  func oneWrite() async throws {
    let harness = try await ServerHarness()
    var builder = FrameBuilder.clientStart()
    for id in [1, 3, 5] as [UInt32] {
      builder.headers(id, HostilePeerTests.request)
      builder.data(id, ServerHarness.framed([UInt8(id)]), endStream: true)
    }
    try await harness.sendRaw(FrameBuilder())
    let before = harness.sentBytes.count
    try await harness.channel.writeInbound(ByteBuffer(bytes: builder.bytes))
    let write = try #require(try await harness.channel.readOutbound(as: ByteBuffer.self))
    #expect(try await harness.channel.readOutbound(as: ByteBuffer.self) == nil)
    let frames = ParsedFrame.parse(harness.sentBytes.dropFirst(before) + Array(buffer: write))
    #expect(frames.filter { $0.kind == FrameBuilder.Kind.data.rawValue }.map(\.stream) == [1, 3, 5])
  }

  @Test("S3-ignored-data-credit: a connection works on after many bytes were sent to calls that were over")
  func abandonedBytes() async throws {
    let harness = try await ServerHarness()
    for _ in 0..<30 {
      let call = harness.open(ServerHarness.request("Nope"))
      call.outbound.writeBytes([UInt8](repeating: 0, count: 60_000))
      harness.client.finishRequest(call)
      try await harness.exchange()
    }
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    #expect(reply.status == "0")
  }
}

@Suite("ConnectionPolicy")
struct ConnectionPolicyTests {
  static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  static func policy(_ change: (inout ConnectionPolicy.Configuration) -> Void = { _ in }) -> ConnectionPolicy {
    var configuration = ConnectionPolicy.Configuration()
    change(&configuration)
    var policy = ConnectionPolicy(configuration, now: start, ageJitter: 1.1)
    policy.handshakeCompleted()
    return policy
  }

  @Test("W49: the age has jitter")
  func age() {
    var policy = Self.policy { $0.maxAge = .seconds(100) }
    let deadline = policy.nextDeadline
    let before = policy.tick(now: Self.start + .milliseconds(109_999))
    let after = policy.tick(now: Self.start + .seconds(110))
    #expect(deadline == Self.start + .seconds(110))
    #expect(before == nil)
    #expect(after == .beginDrain(reason: "max_age"))
  }

  @Test("W49: the grace of an age begins with the drain and ends what is left")
  func ageGrace() {
    var policy = Self.policy {
      $0.maxAge = .seconds(100)
      $0.drainGrace = .seconds(5)
    }
    let drain = Self.start + .seconds(110)
    #expect(policy.tick(now: drain) == .beginDrain(reason: "max_age"))
    let isFirst = policy.drainBegan(grace: policy.drainGrace, now: drain)
    #expect(isFirst)
    #expect(policy.tick(now: drain + .milliseconds(4_999)) == .finishDrain)
    #expect(policy.tick(now: drain + .milliseconds(4_999)) == nil)
    #expect(
      policy.tick(now: drain + .seconds(5)) == .close(reason: "The calls in flight outlasted the grace of the drain."))
  }

  @Test("W48: strikes start anew when the server sent something")
  func strikes() {
    var policy = Self.policy()
    var actions = (0..<3).map { _ in policy.clientPinged(hasCalls: false, now: Self.start) }
    policy.sentHeadersOrData()
    actions += (0..<3).map { _ in policy.clientPinged(hasCalls: false, now: Self.start) }
    let last = policy.clientPinged(hasCalls: false, now: Self.start)
    #expect(actions == [nil, nil, nil, nil, nil, nil])
    #expect(last == .exceeded(.pings))
  }

  @Test("W48: pings five minutes apart are welcome with calls, and too many without", arguments: [true, false])
  func slowPings(hasCalls: Bool) {
    var policy = Self.policy()
    let actions = (0..<5).map { index in
      policy.clientPinged(hasCalls: hasCalls, now: Self.start + .minutes(Int64(5 * index)))
    }
    #expect(actions.contains(.exceeded(.pings)) == !hasCalls)
  }

  @Test("W45: the second GOAWAY follows the PING's answer")
  func drainPingAnswered() {
    var policy = Self.policy()
    let begins = policy.drainBegan(grace: nil, now: Self.start)
    let onAnswer = policy.drainPingAnswered()
    let later = policy.tick(now: Self.start + .seconds(1))
    #expect(begins)
    #expect(onAnswer == .finishDrain)
    #expect(later == nil)
  }

  @Test("W45: without an answer the second GOAWAY follows a second later, once")
  func drainPingUnanswered() {
    var policy = Self.policy()
    _ = policy.drainBegan(grace: nil, now: Self.start)
    let onTime = policy.tick(now: Self.start + .seconds(1))
    let late = policy.drainPingAnswered()
    let again = policy.drainBegan(grace: nil, now: Self.start)
    #expect(onTime == .finishDrain)
    #expect(late == nil)
    #expect(!again)
  }

  @Test("bytes of any kind postpone the ping and count as its answer")
  func anyBytes() {
    var policy = Self.policy { $0.keepaliveTime = .seconds(30) }
    policy.received(now: Self.start + .seconds(29))
    let postponed = policy.tick(now: Self.start + .seconds(30))
    let due = policy.tick(now: Self.start + .seconds(59))
    policy.received(now: Self.start + .seconds(60))
    let answered = policy.tick(now: Self.start + .seconds(79))
    #expect(postponed == nil)
    #expect(due == .sendKeepalivePing)
    #expect(answered == nil)
  }
}
