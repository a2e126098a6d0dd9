import EchoTestSupport
import NIOCore
import RPC
import RPCClient
import Synchronization
import Testing

/// When a channel looks its names up, and what it does with new addresses; on a clock of the test's own.
@Suite(.timeLimit(.minutes(5))) struct NameResolutionTests {
  private let server = FrameServer()
  private let a = Endpoint.ipv4(host: "192.0.2.1", port: 1)
  private let b = Endpoint.ipv4(host: "192.0.2.2", port: 2)

  /// Gives one answer after the other; the last one stays.
  private final class ScriptedResolver: NameResolver {
    private let answers: Mutex<[Result<[Endpoint], ConnectFailure>]>
    let lookUps = Counter()

    init(_ answers: Result<[Endpoint], ConnectFailure>...) { self.answers = Mutex(answers) }

    func resolve(_ target: ChannelTarget) async throws -> [Endpoint] {
      lookUps.increment()
      return try answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }.get()
    }
  }

  private func config(_ json: String) throws -> ServiceConfig { try ServiceConfig(json: json.utf8) }

  @Test("names are looked up again every period: new servers are dialled, those that are gone are drained")
  func period() async throws {
    let spread = try config(#"{"loadBalancingConfig": [{"round_robin": {}}]}"#)
    let resolver = ScriptedResolver(.success([a]), .success([b]))
    let channel = server.channel(resolver: resolver) { $0.serviceConfig = spread }
    let first = channel.call("first")
    let old = try await server.accept()
    #expect(old.endpoint == a)
    _ = try await old.next(.headers)
    await server.pass(.seconds(60))
    let new = try await server.accept()
    #expect(new.endpoint == b)
    // What was under way goes on where it is.
    try await old.send { $0.answer(1, "old") }
    #expect(try await first.value.get() == "old")
    let second = channel.call("second")
    _ = try await new.next(.headers)
    try await new.send { $0.answer(1, "new") }
    #expect(try await second.value.get() == "new")
    #expect(!old.isActive)
    await channel.close()
  }

  @Test("a lost connection brings a look-up, and the server's new address is dialled (W53)")
  func moved() async throws {
    let resolver = ScriptedResolver(.success([a]), .success([b]))
    let channel = server.channel(resolver: resolver) { $0.resolution.period = nil }
    let first = channel.call()
    let old = try await server.accept()
    _ = try await old.next(.headers)
    try await old.send { $0.answer(1, "one") }
    _ = await first.value
    await server.pass(.seconds(30))
    try await old.sever()
    // Waits where the server was, until the names say where it is now.
    let second = channel.call()
    var connection = try await server.accept(settings: nil)
    if connection.endpoint == a { connection = try await server.accept(settings: nil) }
    #expect(connection.endpoint == b)
    try await connection.send { $0.settings([]) }
    _ = try await connection.next(.headers)
    try await connection.send { $0.answer(1, "found") }
    #expect(try await second.value.get() == "found")
    #expect(resolver.lookUps.value == 2)
    await channel.close()
  }

  @Test("names without addresses are UNAVAILABLE with the phase named, and asked for again after the backoff (W51)")
  func failure() async throws {
    let failure = ConnectFailure(phase: .resolving, address: "frames.test", cause: "no such name")
    let resolver = ScriptedResolver(.failure(failure), .success([]), .success([a]))
    let channel = server.channel(resolver: resolver) { $0.resolution.backoff.jitter = 0 }
    let error = await channel.call().value.error
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("frames.test: name resolution: no such name") == true)

    let waiting = channel.call(options: CallOptions(waitForReady: true))
    // One second to the second look-up, which finds nothing, and 1.6 to the third.
    while resolver.lookUps.value < 3 { await server.pass(.milliseconds(100)) }
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.answer(1, "found") }
    #expect(try await waiting.value.get() == "found")
    await channel.close()
  }
}
