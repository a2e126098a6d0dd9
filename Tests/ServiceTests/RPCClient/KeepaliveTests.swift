import EchoTestSupport
import Logging
import NIOCore
import NIOPosix
import RPC
import RPCClient
import Sockets
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// Keepalive (WIRE W44, W46, W47), on a clock of the test's own.
@Suite(.timeLimit(.minutes(5))) struct KeepaliveTests {
  private let server = FrameServer()

  private func channel(_ keepalive: RPCClientConfiguration.Keepalive) -> RPCClientChannel {
    server.channel { $0.keepalive = keepalive }
  }

  private func pings(_ connection: FrameConnection) async throws -> Int {
    try await connection.sent().filter { $0.kind == FrameBuilder.Kind.ping.rawValue }.count
  }

  @Test("a time below ten seconds counts as ten (W47)")
  func clamp() {
    #expect(RPCClientConfiguration.Keepalive(time: .seconds(1)).time == .seconds(10))
  }

  @Test("silence brings a PING; without any byte until the timeout all calls are UNAVAILABLE (W46, W47)")
  func dead() async throws {
    let channel = channel(.init(time: .seconds(10), timeout: .seconds(5)))
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    await server.pass(.seconds(9))
    #expect(try await pings(connection) == 0)
    await server.pass(.seconds(1))
    #expect(try await pings(connection) == 1)
    await server.pass(.seconds(4))
    #expect(connection.isActive)
    await server.pass(.seconds(1))
    let error = await call.value.error
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("keepalive") == true)
    #expect(!connection.isActive)
    await channel.close()
  }

  @Test("any byte is a sign of life, and the clock runs from the last one (W47)")
  func anyByte() async throws {
    let channel = channel(.init(time: .seconds(10), timeout: .seconds(5)))
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    await server.pass(.seconds(10))
    #expect(try await pings(connection) == 1)
    await server.pass(.seconds(3))
    // No answer to the PING, but something.
    try await connection.send { $0.settings([]) }
    await server.pass(.seconds(9))
    #expect(connection.isActive)
    #expect(try await pings(connection) == 0)
    await server.pass(.seconds(1))
    #expect(try await pings(connection) == 1)
    try await connection.send { $0.answer(1, "alive") }
    #expect(try await call.value.get() == "alive")
    await channel.close()
  }

  @Test("without calls nothing is asked; a call after a long silence asks first (W47)")
  func withoutCalls() async throws {
    let channel = channel(.init(time: .seconds(10), timeout: .seconds(5)))
    let first = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.answer(1, "one") }
    _ = await first.value
    await server.pass(.seconds(60))
    #expect(try await pings(connection) == 0)
    let second = channel.call()
    _ = try await connection.next(.ping)
    try await connection.send { $0.answer(3, "two") }
    #expect(try await second.value.get() == "two")
    await channel.close()
  }

  @Test("told too_many_pings, the channel's next connections ask half as often (W44)")
  func tooManyPings() async throws {
    let channel = channel(.init(time: .seconds(10), timeout: .seconds(5), withoutCalls: true))
    let first = channel.call()
    let old = try await server.accept()
    _ = try await old.next(.headers)
    try await old.send { builder in
      builder.answer(1, "one")
      builder.goAway(last: 1, code: 11, debug: "too_many_pings")
    }
    _ = await first.value
    let second = channel.call()
    let new = try await server.accept()
    _ = try await new.next(.headers)
    try await new.send { $0.answer(1, "two") }
    _ = await second.value
    await server.pass(.seconds(19))
    #expect(try await pings(new) == 0)
    await server.pass(.seconds(1))
    #expect(try await pings(new) == 1)
    await channel.close()
  }

  #if os(Linux)
    @Test("a TCP connection gives up unacknowledged bytes after the keepalive timeout: TCP_USER_TIMEOUT (W47)")
    func userTimeout() async throws {
      let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .bind(host: "127.0.0.1", port: 0).get()
      let port = try #require(listener.localAddress?.port)
      let watching = WatchingConnector()
      var configuration = RPCClientConfiguration()
      configuration.keepalive = .init(time: .seconds(10), timeout: .milliseconds(12_345))
      let channel = RPCClientChannel(
        target: ChannelTarget(endpoints: [.ipv4(host: "127.0.0.1", port: port)]), connector: watching,
        on: MultiThreadedEventLoopGroup.singleton.next(), configuration: configuration,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
      let call = channel.call()
      let socket = try #require(await watching.connected.first { _ in true })
      let option = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT))
      #expect(try await socket.getOption(option).get() & 0xFFFF_FFFF == 12_345)
      call.cancel()
      _ = await call.value
      await channel.close()
      try await listener.close()
    }
  #endif
}

/// Connects by sockets, and shows the sockets.
private struct WatchingConnector: ByteConnector {
  let connected: AsyncStream<any Channel>
  private let continuation: AsyncStream<any Channel>.Continuation
  private let sockets = SocketConnector(tls: nil, hostName: nil)

  init() { (connected, continuation) = AsyncStream.makeStream() }

  var scheme: String { sockets.scheme }

  func connect(
    to endpoint: Endpoint, on loop: any EventLoop, timeout: TimeAmount,
    configure: @escaping @Sendable (any Channel) throws -> Void
  ) -> EventLoopFuture<any Channel> {
    sockets.connect(to: endpoint, on: loop, timeout: timeout, configure: configure).map { [continuation] channel in
      continuation.yield(channel)
      return channel
    }
  }
}
