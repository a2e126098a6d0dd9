package import NIOCore
internal import RPC
package import Sockets

/// Connects by TCP or by a Unix socket, with TLS or without.
package struct SocketConnector: ByteConnector {
  private let tls: ClientTLS?
  private let hostName: String?

  /// - Parameters:
  ///   - tls: `nil`: plaintext.
  ///   - hostName: what the server's certificate must name, unless `tls` says otherwise: the host of the target.
  package init(tls: ClientTLS?, hostName: String?) {
    self.tls = tls
    self.hostName = hostName
  }

  package var scheme: String { tls == nil ? "http" : "https" }

  package func connect(
    to endpoint: Endpoint, on loop: any EventLoop, timeout: TimeAmount,
    configure: @escaping @Sendable (any Channel) throws -> Void
  ) -> EventLoopFuture<any Channel> {
    loop.makeFutureWithTask {
      do {
        if case .unixAbstract(let name) = endpoint {
          return try await ClientConnector.connect(
            toAbstractSocket: name, host: hostName, tls: tls, on: loop, timeout: timeout
          ) { channel, _ in try configure(channel) }
        }
        return try await ClientConnector.connect(
          to: try endpoint.socketAddress(), host: hostName, tls: tls, on: loop, timeout: timeout
        ) { channel, _ in try configure(channel) }
      } catch {
        throw ConnectFailure(phase: phase(of: error), address: "\(endpoint)", cause: "\(error)")
      }
    }
  }

  private func phase(of error: any Error) -> ConnectFailure.Phase {
    switch error {
    case is ALPNError: .alpn
    case is IOError, ChannelError.connectTimeout: .connecting
    default: tls == nil ? .connecting : .tls
    }
  }
}
