package import Logging
package import NIOCore
internal import NIOPosix
package import RPC
package import RPCClient
package import RPCServer

/// A server and a channel to it, joined in memory; what most tests of services run on.
///
/// Router, interceptors, call states and sessions are those of the real server and client. End with ``close()``.
package final class InProcessServer: Sendable {
  /// Who the server takes a connection's client for.
  package typealias PeerSource = @Sendable () -> Peer

  package let transport: InProcessTransport
  /// A channel that every test can use.
  package let channel: RPCClientChannel
  private let loop: any EventLoop
  private let logger: Logger

  /// - Parameter peer: for example with the certificate that a client would show.
  package init(
    services: [any RPCService], interceptors: [any ServerInterceptor] = [],
    configuration: RPCServerConfiguration = .init(), client: RPCClientConfiguration = .init(),
    peer: @escaping PeerSource = { Peer(address: "in-process") },
    on loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next(),
    logger: Logger = Logger(label: "rpc.in-process", factory: { _ in SwiftLogNoOpLogHandler() })
  ) {
    self.loop = loop
    self.logger = logger
    transport = InProcessTransport(
      ServerConnectionContext(
        configuration: configuration, router: Router(services), interceptors: interceptors, logger: logger),
      peer: peer)
    channel = Self.makeChannel(transport, client, loop, logger)
  }

  /// Another channel to the same server, with connections of its own.
  package func makeChannel(_ configuration: RPCClientConfiguration = .init()) -> RPCClientChannel {
    Self.makeChannel(transport, configuration, loop, logger)
  }

  private static func makeChannel(
    _ transport: InProcessTransport, _ configuration: RPCClientConfiguration, _ loop: any EventLoop, _ logger: Logger
  ) -> RPCClientChannel {
    RPCClientChannel(
      target: ChannelTarget(endpoints: [.unix(path: "in-process")], authority: "in-process"), connector: transport,
      on: loop, configuration: configuration, logger: logger)
  }

  /// Cancels what is under way and closes all connections.
  package func close() async {
    transport.isAccepting = false
    await channel.close()
    transport.sever()
  }
}
