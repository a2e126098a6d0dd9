package import HTTP2
package import NIOCore
package import RPC

/// What a server allows its callers. Every default is safe to expose.
package struct RPCServerConfiguration: Sendable {
  /// Longest request message, in bytes (W22).
  package var maxMessageLength = 4 * 1024 * 1024
  /// Longest response message, in bytes.
  package var maxSendMessageLength = 64 * 1024 * 1024
  /// What response messages are compressed with, for callers that can read it, unless a handler says otherwise.
  package var responseEncoding = MessageEncoding.identity
  /// Messages shorter than this, in bytes, are not compressed: it would cost more than it saves.
  package var minCompressedLength = 1024
  /// Largest block of response headers or trailers, as Σ(name + value + 32) (W16). At most 60 KiB.
  package var maxResponseHeaderListSize = 8 * 1024
  /// Calls that may run at once in the whole server; those above fail with RESOURCE_EXHAUSTED. `nil`: no limit.
  package var maxCallsInFlight: Int? = 10_000
  /// Response bytes that may wait on one connection, for its windows or its socket, when another message is to join
  /// them; beyond that the call fails with RESOURCE_EXHAUSTED. A stream alone waits at a far lower mark.
  package var maxBufferedBytes = 32 * 1024 * 1024
  /// Frames other than DATA that may wait for a socket that takes nothing; beyond that the connection ends.
  package var maxUnsentFrames = 10_000
  /// Connections at once, for each listener; those above are closed on arrival. `nil`: no limit.
  package var maxConnections: Int? = 10_000
  /// Limits of each connection.
  package var http2 = HTTP2Session.Configuration()
  package var connection = ConnectionPolicy.Configuration()
  /// Every status that is not OK gets a `google.rpc.ErrorInfo` of this domain if it has none, those included that the
  /// runtime decides on before or beside the interceptors. `nil`: statuses go out as they are.
  package var errorDomain: String?
  package var budget = PeerBudget.Configuration()
  /// How long calls in flight may go on after ``RPCServer/beginGracefulShutdown()``.
  package var shutdownGrace: TimeAmount = .seconds(30)

  package init() {}
}
