package import NIOCore
package import RPCClient
internal import RPCServer
internal import Synchronization

/// Connects clients to a server in the same process, in memory: the sessions, framing and flow control of the wire,
/// without sockets.
package final class InProcessTransport: ByteConnector {
  private let shared: ServerConnectionContext
  private let peer: InProcessServer.PeerSource
  private let state = Mutex(State())

  private struct State {
    /// The server's ends.
    var connections: [MemoryChannel] = []
    var isAccepting = true
  }

  init(_ shared: ServerConnectionContext, peer: @escaping InProcessServer.PeerSource) {
    self.shared = shared
    self.peer = peer
  }

  package let scheme = "http"

  package func connect(
    to endpoint: Endpoint, on loop: any EventLoop, timeout: TimeAmount,
    configure: @escaping @Sendable (any Channel) throws -> Void
  ) -> EventLoopFuture<any Channel> {
    loop.submit {
      guard self.state.withLock({ $0.isAccepting }) else {
        throw ConnectFailure(phase: .connecting, address: "in-process", cause: "the server does not accept connections")
      }
      let (client, server) = MemoryChannel.pair(on: loop)
      try server.pipeline.syncOperations.addHandler(ServerConnection(self.shared, peer: self.peer(), now: loop.now))
      try configure(client)
      self.state.withLock { $0.connections.append(server) }
      server.closeFuture.whenComplete { _ in
        self.state.withLock { $0.connections.removeAll { $0 === server } }
      }
      server.activate()
      client.activate()
      return client
    }
  }

  /// Whether new connections are accepted; without, connecting fails as a closed port does.
  package var isAccepting: Bool {
    get { state.withLock { $0.isAccepting } }
    set { state.withLock { $0.isAccepting = newValue } }
  }

  /// How many connections are open.
  package var connectionCount: Int { state.withLock { $0.connections.count } }

  /// Asks all connections to drain: two GOAWAYs, calls may end (W45).
  package func drain(grace: TimeAmount?) {
    forEachConnection { $0.pipeline.fireUserInboundEventTriggered(ServerConnection.BeginDrain(grace: grace)) }
  }

  /// Breaks all connections as a network failure does.
  package func sever() {
    forEachConnection { $0.sever() }
  }

  private func forEachConnection(_ body: @escaping @Sendable (MemoryChannel) -> Void) {
    for connection in state.withLock({ $0.connections }) {
      connection.eventLoop.execute { body(connection) }
    }
  }
}
