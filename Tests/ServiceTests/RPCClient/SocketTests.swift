import EchoTestSupport
import Foundation
import Logging
import NIOCore
import NIOPosix
import RPC
import RPCClient
import RPCServer
import Sockets
import Testing

/// The client over real sockets: targets, TLS, and servers that are not there or not what they should be.
@Suite(.timeLimit(.minutes(5))) struct SocketTests {
  private static let group = MultiThreadedEventLoopGroup.singleton
  private static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  /// Runs a server at `address`, gives its address to `body`, and ends it.
  private func withServer(
    _ service: EchoService = EchoService(), at address: EndpointAddress = .tcp(host: "127.0.0.1", port: 0),
    tls: ServerTLS? = nil, _ body: (EndpointAddress) async throws -> Void
  ) async throws {
    let server = RPCServer(
      listen: [.init(address, tls: tls)], services: [service], eventLoopGroup: Self.group, logger: Self.quiet)
    let addresses = try await server.start()
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await server.run() }
      defer { tasks.cancelAll() }
      try await body(try #require(addresses.first))
    }
  }

  private func withChannel<Value>(
    _ target: String, tls: ClientTLS? = nil, configuration: RPCClientConfiguration = .init(),
    _ body: (RPCClientChannel) async throws -> Value
  ) async throws -> Value {
    let channel = try RPCClientChannel(
      target: target, tls: tls, eventLoopGroup: Self.group, configuration: configuration, logger: Self.quiet)
    do {
      let value = try await body(channel)
      await channel.close()
      return value
    } catch {
      await channel.close()
      throw error
    }
  }

  private func echo(
    _ target: String, tls: ClientTLS? = nil, configuration: RPCClientConfiguration = .init()
  ) async throws -> Text {
    try await withChannel(target, tls: tls, configuration: configuration) { channel in
      try await channel.unary(EchoService.unary, "hello", options: .init()).message
    }
  }

  private func failure(
    _ target: String, tls: ClientTLS? = nil, configuration: RPCClientConfiguration = .init()
  ) async -> RPCError? {
    do {
      _ = try await echo(target, tls: tls, configuration: configuration)
      return nil
    } catch {
      return error as? RPCError
    }
  }

  private func port(_ address: EndpointAddress) throws -> Int {
    guard case .tcp(_, let port) = address else { throw RPCError(.internal, "not TCP") }
    return port
  }

  // MARK: Targets

  @Test(
    "addresses, names and lists lead to the server",
    arguments: ["ipv4:127.0.0.1:%", "dns:///localhost:%", "localhost:%"])
  func targets(template: String) async throws {
    try await withServer { address in
      let target = template.replacingOccurrences(of: "%", with: String(try port(address)))
      let answer = try await echo(target)
      #expect(answer == "hello")
    }
  }

  @Test("a Unix socket leads to the server")
  func unix() async throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString.prefix(8)).sock").path
    try await withServer(at: .unix(path: path)) { _ in
      let answer = try await echo("unix:" + path)
      #expect(answer == "hello")
    }
    try? FileManager.default.removeItem(atPath: path)
  }

  @Test("an address that refuses gives way to the next")
  func secondAddress() async throws {
    let closed = try await closedPort()
    try await withServer { address in
      let answer = try await echo("ipv4:127.0.0.1:\(closed),127.0.0.1:\(try port(address))")
      #expect(answer == "hello")
    }
  }

  @Test("a refused connection is UNAVAILABLE and names address, phase and cause (W51)")
  func refused() async throws {
    let closed = try await closedPort()
    let error = await failure("ipv4:127.0.0.1:\(closed)")
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("ipv4:127.0.0.1:\(closed): connecting:") == true)
    #expect(error?.message.contains("refused") == true)
  }

  @Test("a name without an address is UNAVAILABLE and says so")
  func unknownName() async {
    let error = await failure("dns:does-not-exist.invalid:1")
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("does-not-exist.invalid: name resolution:") == true)
  }

  /// A port that nobody listens at.
  private func closedPort() async throws -> Int {
    let listener = try await ServerBootstrap(group: Self.group).bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(listener.localAddress?.port)
    try await listener.close()
    return port
  }

  // MARK: TLS

  @Test("TLS on both sides: the server knows the client by its certificate (W2)")
  func mutualTLS() async throws {
    let authority = try TestAuthority()
    let spiffe = "spiffe://test/service/caller"
    let server = try ServerTLS(
      ServerTLSFiles(
        identity: try authority.issue("server", names: [.dnsName("localhost")]),
        clientAuthorities: authority.certificateFile, requiresClientCertificate: true))
    let client = try ClientTLS(
      ClientTLSFiles(
        serverAuthorities: authority.certificateFile,
        identity: try authority.issue("client", names: [.uniformResourceIdentifier(spiffe)])))
    var service = EchoService()
    service.onUnary = { _, context in Text(context.peer.certificate?.uris.first ?? "nobody") }
    try await withServer(service, tls: server) { address in
      let answer = try await echo("dns:localhost:\(try port(address))", tls: client)
      #expect(answer.value == spiffe)
    }
  }

  @Test("a server of another authority, or of another name, is refused in the handshake (W2)")
  func untrusted() async throws {
    let (ours, theirs) = (try TestAuthority("ours"), try TestAuthority("theirs"))
    let server = try ServerTLS(
      ServerTLSFiles(identity: try theirs.issue("server", names: [.dnsName("elsewhere.test")])))
    let wrongAuthority = try ClientTLS(ClientTLSFiles(serverAuthorities: ours.certificateFile))
    let wrongName = try ClientTLS(ClientTLSFiles(serverAuthorities: theirs.certificateFile))
    let right = try ClientTLS(
      ClientTLSFiles(serverAuthorities: theirs.certificateFile, serverName: "elsewhere.test"))
    try await withServer(tls: server) { address in
      let target = "dns:localhost:\(try port(address))"
      for tls in [wrongAuthority, wrongName] {
        let error = await failure(target, tls: tls)
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains(": TLS handshake:") == true)
      }
      let answer = try await echo(target, tls: right)
      #expect(answer == "hello")
    }
  }

  // MARK: Servers that are none

  @Test("a listener that says nothing is given up after the connect timeout, with the phase named (W50)")
  func silent() async throws {
    let listener = try await ServerBootstrap(group: Self.group).bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(listener.localAddress?.port)
    var configuration = RPCClientConfiguration()
    configuration.backoff.initial = .seconds(1)
    configuration.backoff.minimumConnectTimeout = .seconds(5)
    var error: RPCError?
    for _ in 0..<10 {
      error = await failure("ipv4:127.0.0.1:\(port)", configuration: configuration)
      #expect(error?.code == .unavailable)
      // On a machine that has no time for us, the same timeout may have come while connecting.
      if error?.message.contains("connecting: nothing came of it") != true { break }
    }
    #expect(error?.message.contains("waiting for the server's SETTINGS") == true, "\(String(describing: error))")
    try await listener.close()
  }

  @Test("a listener that speaks HTTP/1.1 is UNAVAILABLE, not a hang")
  func http1() async throws {
    let listener = try await ServerBootstrap(group: Self.group).childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(HTTP1Greeting()) }
    }.bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(listener.localAddress?.port)
    let error = await failure("ipv4:127.0.0.1:\(port)")
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("HTTP/2") == true, "\(String(describing: error))")
    try await listener.close()
  }

  // MARK: Coming back

  @Test("a server that comes back at its address is found again")
  func restart() async throws {
    // A socket's path, since a port that is free now may be somebody's in the next round.
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString.prefix(8)).sock").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    var configuration = RPCClientConfiguration()
    configuration.backoff.initial = .milliseconds(10)
    // A call that was on its way when the server went may have run; repeating it is for the policy to allow.
    configuration.retryPolicy = try RetryPolicy(maxAttempts: 5, initialBackoff: .milliseconds(10))
    try await withChannel("unix:" + path, configuration: configuration) { channel in
      let waiting = CallOptions(deadline: .now() + .seconds(30), waitForReady: true)
      for round in 1...3 {
        try await withServer(at: .unix(path: path)) { _ in
          let text = Text("round \(round)")
          let answer = try await channel.unary(EchoService.unary, text, options: waiting)
          #expect(answer.message == text)
        }
      }
    }
  }
}

/// Says on every connection what no HTTP/2 server says.
private final class HTTP1Greeting: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelActive(context: ChannelHandlerContext) {
    let text = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
  }
}
