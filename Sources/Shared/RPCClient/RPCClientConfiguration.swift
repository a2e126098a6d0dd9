package import HTTP2
package import NIOCore
internal import RPC

/// What a client channel does beyond what each call asks for.
package struct RPCClientConfiguration: Sendable {
  /// `:authority` of every call; `nil`: what the target says.
  package var authority: String?
  /// Comes before the runtime's own `user-agent` (W11).
  package var userAgentPrefix: String?
  package var backoff = ConnectionBackoff.Policy()
  /// When names are looked up again.
  package var resolution = ResolutionSchedule.Policy()
  /// What the service's owner recommends; in it, a member that is absent leaves what stands here.
  package var serviceConfig: ServiceConfig?
  /// `nil`: only calls that the server certainly did not process are repeated.
  package var retryPolicy: RetryPolicy?
  package var retryThrottle: RetryThrottle?
  /// Limit on one response message, inclusive (W22).
  package var maxReceiveMessageLength = MessageDeframer.defaultMaxMessageLength
  /// Limit on one request message, inclusive (W22).
  package var maxSendMessageLength = Int(Int32.max)
  /// Request bytes of a call that are kept so that it can be repeated; above it the call is committed (W54).
  package var retryBufferLimit = 256 * 1024
  /// The same of all calls of the channel together; a call whose bytes do not fit is committed (W54).
  package var retryBufferLimitOfChannel = 16 * 1024 * 1024
  /// Calls that may wait for a connection or for a free stream; above it they fail with RESOURCE_EXHAUSTED.
  package var maxQueuedCalls = 10_000
  package var keepalive: Keepalive?
  package var session = HTTP2Session.Configuration()
  /// Seeds all jitter; `nil`: a random seed.
  package var seed: UInt64?

  package init() {}

  /// When the client asks whether the server is still there. Source: gRFC A8; WIRE W47.
  package struct Keepalive: Sendable, Hashable {
    /// After this long without a byte from the server a PING goes out; at least 10 s.
    package let time: TimeAmount
    /// After this long without a byte since the PING the connection is given up.
    package var timeout: TimeAmount
    /// Also while no call is open.
    package var withoutCalls: Bool

    /// For the connections of a server that finds our PINGs too many (W44).
    package var doubled: Keepalive {
      Keepalive(time: min(time, .hours(24)) * 2, timeout: timeout, withoutCalls: withoutCalls)
    }

    package init(time: TimeAmount, timeout: TimeAmount = .seconds(20), withoutCalls: Bool = false) {
      self.time = max(time, .seconds(10))
      self.timeout = timeout
      self.withoutCalls = withoutCalls
    }
  }
}
