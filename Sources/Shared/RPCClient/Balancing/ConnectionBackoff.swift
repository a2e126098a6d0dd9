package import NIOCore

/// How long to wait between connection attempts to one address.
///
/// Source: gRPC "Connection Backoff Protocol"; WIRE W50.
package struct ConnectionBackoff: Sendable, Hashable {
  package struct Policy: Sendable, Hashable {
    package var initial: TimeAmount
    package var multiplier: Double
    package var maximum: TimeAmount
    /// Each delay is multiplied by a random number in `1 - jitter ... 1 + jitter`.
    package var jitter: Double
    /// An attempt is given at least this long.
    package var minimumConnectTimeout: TimeAmount

    package init(
      initial: TimeAmount = .seconds(1), multiplier: Double = 1.6, maximum: TimeAmount = .seconds(120),
      jitter: Double = 0.2, minimumConnectTimeout: TimeAmount = .seconds(20)
    ) {
      self.initial = initial
      self.multiplier = multiplier
      self.maximum = maximum
      self.jitter = jitter
      self.minimumConnectTimeout = minimumConnectTimeout
    }
  }

  private let policy: Policy
  private var base: Double

  package init(_ policy: Policy) {
    self.policy = policy
    self.base = Double(policy.initial.nanoseconds)
  }

  /// The delay between the start of an attempt that is beginning and the start of the next, should this one fail.
  package mutating func nextDelay(using generator: inout some RandomNumberGenerator) -> TimeAmount {
    let delay = base * Double.random(in: (1 - policy.jitter)...(1 + policy.jitter), using: &generator)
    base = min(base * policy.multiplier, Double(policy.maximum.nanoseconds))
    return .nanoseconds(Int64(delay))
  }

  /// After a connection became usable, which is when the server's SETTINGS arrived, not when TCP connected.
  package mutating func reset() { base = Double(policy.initial.nanoseconds) }

  /// How long an attempt may take whose successor would start after `delay`.
  package func connectTimeout(delay: TimeAmount) -> TimeAmount { max(delay, policy.minimumConnectTimeout) }
}
