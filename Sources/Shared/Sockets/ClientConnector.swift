package import NIOCore
internal import NIOPosix
package import RPC

/// Makes connections, over TLS or not.
package enum ClientConnector {
  /// Connects to an address that is resolved already, or to a name that the system resolves.
  ///
  /// `connected` is called on the connection's loop once it is ready to speak HTTP/2 (with TLS: after the handshake), and
  /// adds the handlers of its protocol.
  ///
  /// - Parameter host: the name that TLS asks for and verifies; without it that of `address`.
  /// - Returns: the channel, once `connected` was called.
  /// - Throws: what the connection failed of; ``ALPNError`` when the server does not speak h2.
  package static func connect(
    to address: EndpointAddress, host: String? = nil, tls: ClientTLS?, on eventLoop: any EventLoop,
    timeout: TimeAmount = .seconds(20),
    connected: @escaping @Sendable (any Channel, Peer) throws -> Void
  ) async throws -> any Channel {
    let name: String? =
      switch address {
      case .tcp(let addressHost, _): host ?? addressHost
      case .unix: host
      }
    return try await connect(eventLoop, name: name, tls: tls, timeout: timeout, connected: connected) { bootstrap in
      switch address {
      case .tcp(let host, let port):
        bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(host: host, port: port)
      case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
      }
    }
  }

  /// The same for a resolved socket address.
  package static func connect(
    to address: SocketAddress, host: String?, tls: ClientTLS?, on eventLoop: any EventLoop,
    timeout: TimeAmount = .seconds(20),
    connected: @escaping @Sendable (any Channel, Peer) throws -> Void
  ) async throws -> any Channel {
    try await connect(
      eventLoop, name: host ?? address.ipAddress, tls: tls, timeout: timeout, connected: connected
    ) { bootstrap in
      if case .unixDomainSocket = address { return bootstrap.connect(to: address) }
      return bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(to: address)
    }
  }

  /// The same for a socket in Linux' abstract namespace.
  ///
  /// - Parameter name: without the leading NUL.
  package static func connect(
    toAbstractSocket name: String, host: String?, tls: ClientTLS?, on eventLoop: any EventLoop,
    timeout: TimeAmount = .seconds(20),
    connected: @escaping @Sendable (any Channel, Peer) throws -> Void
  ) async throws -> any Channel {
    try await connect(eventLoop, name: host, tls: tls, timeout: timeout, connected: connected) { bootstrap in
      #if os(Linux)
        do {
          return bootstrap.withConnectedSocket(try AbstractSocket.connect(to: name))
        } catch {
          return eventLoop.makeFailedFuture(error)
        }
      #else
        return eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
      #endif
    }
  }

  private static func connect(
    _ eventLoop: any EventLoop, name: String?, tls: ClientTLS?, timeout: TimeAmount,
    connected: @escaping @Sendable (any Channel, Peer) throws -> Void,
    using dial: (ClientBootstrap) -> EventLoopFuture<any Channel>
  ) async throws -> any Channel {
    let ready = eventLoop.makePromise(of: Void.self)
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(timeout)
      .channelOption(.allowRemoteHalfClosure, value: false)
      // Without TLS nobody would take what the server says before `connected` was called: its SETTINGS.
      .channelOption(.autoRead, value: tls != nil)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard let tls else { return }
          try channel.pipeline.syncOperations.addHandler(HandshakeTimeout(timeout), name: "handshake-timeout")
          try tls.addHandlers(to: channel, host: name) { channel, certificate in
            channel.pipeline.removeHandler(name: "handshake-timeout", promise: nil)
            let peer = Peer(address: channel.remoteAddress?.peerName ?? "unknown", certificate: certificate)
            try connected(channel, peer)
            ready.succeed()
          }
          try channel.pipeline.syncOperations.addHandler(HandshakeFailure(ready), name: "handshake-failure")
        }
      }
    do {
      let channel = try await dial(bootstrap).get()
      if tls == nil {
        try await channel.eventLoop.submit {
          try connected(channel, Peer(address: channel.remoteAddress?.peerName ?? "unknown"))
        }.get()
        try await channel.setOption(.autoRead, value: true).get()
        ready.succeed()
      }
      try await ready.futureResult.get()
      if tls != nil { channel.pipeline.removeHandler(name: "handshake-failure", promise: nil) }
      return channel
    } catch {
      ready.fail(error)
      throw error
    }
  }
}

/// Tells whoever waits for the handshake why it failed.
private final class HandshakeFailure: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let ready: EventLoopPromise<Void>

  init(_ ready: EventLoopPromise<Void>) { self.ready = ready }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    ready.fail(error)
    context.fireErrorCaught(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    ready.fail(ChannelError.eof)
    context.fireChannelInactive()
  }
}
