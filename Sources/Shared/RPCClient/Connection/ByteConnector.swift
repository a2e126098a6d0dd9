package import NIOCore

/// Makes byte connections for a channel: TCP, TLS over it, a Unix socket, or memory.
package protocol ByteConnector: Sendable {
  /// `https` or `http`, for `:scheme`.
  var scheme: String { get }

  /// Connects. The channel that the future gives carries `ByteBuffer`s, its TLS (if any) is done and has agreed on `h2`,
  /// and it does not read before `configure` returned, which is called on the channel's loop.
  ///
  /// Fails with ``ConnectFailure``, or with any error, which then counts as one of the phase `connecting`.
  func connect(
    to endpoint: Endpoint, on loop: any EventLoop, timeout: TimeAmount,
    configure: @escaping @Sendable (any Channel) throws -> Void
  ) -> EventLoopFuture<any Channel>
}
