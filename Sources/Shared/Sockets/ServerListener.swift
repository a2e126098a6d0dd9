internal import Glibc
package import NIOCore
internal import NIOPosix
package import RPC

/// A socket that accepts connections, over TLS or not.
package struct ServerListener: Sendable {
  package let channel: any Channel
  /// What it is bound to, with the port that the system chose for port 0.
  package let address: EndpointAddress

  /// Starts to listen. `connected` is called on the connection's loop, once per connection that is ready to speak
  /// HTTP/2, with the time at which it was accepted, and adds the handlers of its protocol.
  ///
  /// - Parameter maxConnections: at once, for each listener; those above are closed on arrival.
  /// - Throws: ``ListenError``, whose text names the address.
  package static func bind(
    _ address: EndpointAddress, tls: ServerTLS?, group: any EventLoopGroup, maxConnections: Int? = nil,
    handshakeTimeout: TimeAmount = .seconds(10),
    connected: @escaping @Sendable (any Channel, Peer, NIODeadline) throws -> Void,
    refused: @escaping RefusalObserver = { _, _ in }
  ) async throws -> ServerListener {
    let gate = AcceptGate.Shared(limit: maxConnections, refused: refused)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptGate(gate))
        }
      }
      .childChannelOption(.allowRemoteHalfClosure, value: false)
      .childChannelOption(.maxMessagesPerRead, value: 4)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let name = channel.remoteAddress?.peerName ?? "unknown"
          let accepted = channel.eventLoop.now
          guard let tls else { return try connected(channel, Peer(address: name), accepted) }
          try channel.pipeline.syncOperations.addHandler(
            HandshakeTimeout(handshakeTimeout) { refused(.handshakeTimeout, name) }, name: "handshake-timeout")
          try tls.addHandlers(to: channel) { channel, certificate in
            channel.pipeline.removeHandler(name: "handshake-timeout", promise: nil)
            try connected(channel, Peer(address: name, certificate: certificate), accepted)
          }
        }
      }
    do {
      let channel: any Channel
      switch address {
      case .tcp(let host, let port):
        channel =
          try await bootstrap
          .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
          .bind(host: host, port: port).get()
      case .unix(let path):
        channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
      }
      return ServerListener(channel: channel, address: EndpointAddress(channel.localAddress) ?? address)
    } catch let error as IOError {
      throw ListenError(address: address, reason: String(cString: strerror(error.errnoCode)))
    } catch {
      throw ListenError(address: address, reason: "\(error)")
    }
  }

  /// Stops to accept; connections that exist go on.
  package func close() async {
    try? await channel.close().get()
  }
}

/// Listening failed: the address is taken, not ours, or not allowed.
package struct ListenError: Error, Sendable, Hashable, CustomStringConvertible {
  package var address: EndpointAddress
  package var reason: String

  package var description: String { "Cannot listen on \(address): \(reason)" }
}
