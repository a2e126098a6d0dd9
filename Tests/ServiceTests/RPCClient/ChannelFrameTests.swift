import EchoTestSupport
import NIOCore
import RPC
import RPCClient
import TestSupport
import Testing

/// How the channel connects, waits and repeats, against a server made of frames and on a clock of the test's own.
@Suite(.timeLimit(.minutes(5))) struct ChannelFrameTests {
  private let server = FrameServer()

  private func policy(_ attempts: Int = 3) throws -> RetryPolicy {
    try RetryPolicy(maxAttempts: attempts, initialBackoff: .milliseconds(100), maxBackoff: .milliseconds(100))
  }

  // MARK: Connecting

  @Test("a server without SETTINGS is given up after 20 s; its backoff goes on although TCP connected (W50)")
  func withoutSettings() async throws {
    let channel = server.channel { $0.backoff.initial = .seconds(30) }
    let call = channel.call()
    let silent = try await server.accept(settings: nil)
    await server.pass(.seconds(29))
    #expect(silent.isActive)
    await server.pass(.seconds(1))
    let error = await call.value.error
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("unix:frames: waiting for the server's SETTINGS") == true)
    #expect(error?.message.contains("(attempt 1)") == true)

    // The second attempt has 1.6 times as long.
    let waiting = channel.call(options: CallOptions(waitForReady: true))
    await server.pass(.zero)
    let again = try await server.accept(settings: nil)
    await server.pass(.seconds(47))
    #expect(again.isActive)
    await server.pass(.seconds(1))
    #expect(!again.isActive)
    await server.pass(.zero)
    let third = try await server.accept()
    _ = try await third.next(.headers)
    try await third.send { $0.answer(1, "at last") }
    #expect(try await waiting.value.get() == "at last")
    await channel.close()
  }

  @Test("while no server can be reached calls fail at once, and those that wait for ready end at their deadline (W51)")
  func failFast() async throws {
    let channel = server.channel()
    let first = channel.call()
    let connection = try await server.accept(settings: nil)
    try await connection.sever()
    await server.pass(.zero)
    #expect(await first.value.error?.code == .unavailable)
    let failing = await channel.call().value.error
    #expect(failing?.code == .unavailable)
    #expect(failing?.message.contains("unix:frames") == true)

    let patient = channel.call(
      options: CallOptions(deadline: server.loop.now + .milliseconds(500), waitForReady: true))
    await server.pass(.milliseconds(500))
    let error = await patient.value.error
    #expect(error?.code == .deadlineExceeded)
    #expect(error?.message.contains("waited for a connection") == true)
    await channel.close()
  }

  @Test("calls that wait end when the channel is closed (W51)")
  func closed() async throws {
    let channel = server.channel()
    let call = channel.call(options: CallOptions(waitForReady: true))
    _ = try await server.accept(settings: nil)
    await channel.close()
    #expect(await call.value.error?.code == .unavailable)
  }

  // MARK: Repeating

  @Test("a call whose HEADERS never left is repeated without a policy, as often as it takes (W54)")
  func neverSent() async throws {
    let channel = server.channel()
    let first = channel.call("first")
    var connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.answer(1, "one") }
    _ = await first.value
    for _ in 0..<3 {
      await connection.block()
      let call = channel.call("again")
      await server.pass(.milliseconds(1))
      #expect(try await !connection.sent().contains { $0.kind == FrameBuilder.Kind.headers.rawValue })
      try await connection.sever()
      await server.pass(.zero)
      connection = try await server.accept()
      let headers = try await connection.next(.headers)
      try await connection.send { $0.answer(headers.stream, "after all") }
      #expect(try await call.value.get() == "after all")
    }
    await channel.close()
  }

  @Test("a call that was on its way when the connection was lost may have run: without a policy it fails (W54)")
  func maybeRan() async throws {
    let channel = server.channel()
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.sever()
    await server.pass(.zero)
    let error = await call.value.error
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("unix:frames: connection lost") == true)
    await channel.close()
  }

  @Test("a request larger than its buffer is committed; one byte less is repeated (W54)", arguments: [100, 101])
  func bufferOfCall(length: Int) async throws {
    let policy = try policy()
    let channel = server.channel {
      $0.retryPolicy = policy
      $0.retryBufferLimit = 105  // with the prefix of five bytes
    }
    let call = channel.call(Text(String(repeating: "x", count: length)))
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.trailersOnly(1, 14) }
    if length == 100 {
      await server.pass(.milliseconds(200))
      _ = try await connection.next(.headers)
      try await connection.send { $0.answer(3, "again") }
      #expect(try await call.value.get() == "again")
    } else {
      #expect(await call.value.error?.code == .unavailable)
    }
    await channel.close()
  }

  @Test("calls share the channel's room for repetitions; who finds none is committed, and room comes back (W54)")
  func bufferOfChannel() async throws {
    let policy = try policy()
    let channel = server.channel {
      $0.retryPolicy = policy
      $0.retryBufferLimitOfChannel = 150
    }
    let text = Text(String(repeating: "x", count: 100))
    let first = channel.call(text)
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    let second = channel.call(text)
    _ = try await connection.next(.headers)
    try await connection.send { $0.trailersOnly(3, 14) }
    #expect(await second.value.error?.code == .unavailable)

    try await connection.send { $0.answer(1, "one") }
    #expect(try await first.value.get() == "one")
    let third = channel.call(text)
    _ = try await connection.next(.headers)
    try await connection.send { $0.trailersOnly(5, 14) }
    await server.pass(.milliseconds(200))
    _ = try await connection.next(.headers)
    try await connection.send { $0.answer(7, "three") }
    #expect(try await third.value.get() == "three")
    await channel.close()
  }

  @Test("pushback is waited for to the millisecond (W54)")
  func pushback() async throws {
    let policy = try policy()
    let channel = server.channel { $0.retryPolicy = policy }
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.trailersOnly(1, 14, ("grpc-retry-pushback-ms", "5000")) }
    await server.pass(.milliseconds(4999))
    #expect(try await !connection.sent().contains { $0.kind == FrameBuilder.Kind.headers.rawValue })
    await server.pass(.milliseconds(1))
    _ = try await connection.next(.headers)
    try await connection.send { $0.answer(3, "as told") }
    #expect(try await call.value.get() == "as told")
    await channel.close()
  }

  // MARK: Service config

  @Test("a new service config holds for calls that begin; one that is refused leaves the old in force (W55)")
  func configUpdate() async throws {
    let channel = server.channel()
    channel.use(try ServiceConfig(json: #"{"methodConfig": [{"name": [{}], "timeout": "2s"}]}"#.utf8))
    let first = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    await server.pass(.seconds(2))
    #expect(await first.value.error?.code == .deadlineExceeded)

    #expect(throws: ServiceConfigError.self) {
      channel.use(try ServiceConfig(json: #"{"methodConfig": [{"name": [{}], "timeout": "soon"}]}"#.utf8))
    }
    let second = channel.call()
    _ = try await connection.next(.headers)
    await server.pass(.milliseconds(1999))
    try await connection.send { $0.answer(3, "in time") }
    #expect(try await second.value.get() == "in time")
    await channel.close()
  }

  @Test("a service config with another policy takes over: the old connection ends with its calls")
  func policyUpdate() async throws {
    let channel = server.channel()
    let first = channel.call("first")
    let old = try await server.accept()
    _ = try await old.next(.headers)
    channel.use(try ServiceConfig(json: #"{"loadBalancingConfig": [{"round_robin": {}}]}"#.utf8))
    let new = try await server.accept()
    let second = channel.call("second")
    _ = try await new.next(.headers)
    try await new.send { $0.answer(1, "new") }
    #expect(try await second.value.get() == "new")
    try await old.send { $0.answer(1, "old") }
    #expect(try await first.value.get() == "old")
    await server.pass(.zero)
    #expect(!old.isActive)
    await channel.close()
  }
}

@Suite struct DeadlinePropagationTests {
  private let t0 = NIODeadline.uptimeNanoseconds(10_000_000_000)

  @Test("an outgoing call ends a margin before the call that it serves")
  func margin() {
    let options = CallOptions().within(t0, margin: .milliseconds(50))
    #expect(options.deadline == t0 - .milliseconds(50))
  }

  @Test("an earlier deadline of its own stays, a later one does not; without an incoming deadline nothing changes")
  func ownDeadline() {
    let early = CallOptions(deadline: t0 - .seconds(1)).within(t0, margin: .milliseconds(50))
    #expect(early.deadline == t0 - .seconds(1))
    let late = CallOptions(deadline: t0 + .seconds(1)).within(t0, margin: .milliseconds(50))
    #expect(late.deadline == t0 - .milliseconds(50))
    #expect(CallOptions(deadline: t0).within(nil, margin: .milliseconds(50)).deadline == t0)
    #expect(CallOptions().within(nil, margin: .milliseconds(50)).deadline == nil)
  }
}
