package import NIOCore
package import RPC

/// When a call that failed is tried again.
///
/// Source: gRFC A6; WIRE W54 and W55.
package struct RetryPolicy: Sendable, Hashable {
  /// Attempts in all, the first included; at most ``attemptsCap`` are made.
  package let maxAttempts: Int
  package let initialBackoff: TimeAmount
  package let maxBackoff: TimeAmount
  package let backoffMultiplier: Double
  package let retryableCodes: Set<StatusCode>

  /// gRFC A6: larger values are treated as five.
  package static let attemptsCap = 5

  /// - Throws: ``RetryPolicyError`` when the policy as a whole is not valid (W55).
  package init(
    maxAttempts: Int, initialBackoff: TimeAmount = .milliseconds(100), maxBackoff: TimeAmount = .seconds(1),
    backoffMultiplier: Double = 2, retryableCodes: Set<StatusCode> = [.unavailable]
  ) throws(RetryPolicyError) {
    guard maxAttempts > 1 else { throw RetryPolicyError("maxAttempts is \(maxAttempts); it must be at least 2.") }
    guard initialBackoff > .zero, maxBackoff > .zero else {
      throw RetryPolicyError("initialBackoff and maxBackoff must be greater than zero.")
    }
    guard backoffMultiplier.isFinite, backoffMultiplier > 0 else {
      throw RetryPolicyError("backoffMultiplier is \(backoffMultiplier); it must be greater than zero.")
    }
    guard !retryableCodes.isEmpty, !retryableCodes.contains(.ok) else {
      throw RetryPolicyError("retryableCodes must name at least one code, and not OK.")
    }
    self.maxAttempts = min(maxAttempts, Self.attemptsCap)
    self.initialBackoff = initialBackoff
    self.maxBackoff = maxBackoff
    self.backoffMultiplier = backoffMultiplier
    self.retryableCodes = retryableCodes
  }

  /// The delay before retry number `retry` (1 is the first retry).
  func delay(beforeRetry retry: Int, using generator: inout some RandomNumberGenerator) -> TimeAmount {
    var backoff = Double(initialBackoff.nanoseconds)
    for _ in 1..<max(retry, 1) { backoff *= backoffMultiplier }
    backoff = min(backoff, Double(maxBackoff.nanoseconds))
    return .nanoseconds(Int64(backoff * Double.random(in: 0.8...1.2, using: &generator)))
  }
}

/// Which rule of W55 a policy breaks.
package struct RetryPolicyError: Error, Sendable, Hashable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

/// Stops retries of a whole channel while most calls fail.
///
/// Tokens start at the maximum; a failure that could be retried takes one, a success returns `ratio`; at half of the
/// maximum or below, nothing is retried. Source: gRFC A6, "Throttling"; WIRE W54.
package struct RetryThrottle: Sendable, Hashable {
  private let maximum: Int
  private let ratio: Int
  private var tokens: Int

  /// - Parameters:
  ///   - maxTokens: 1 to 1000.
  ///   - tokenRatio: in thousandths of a token, as gRPC keeps three decimals.
  package init(maxTokens: Int = 100, tokenRatio: Int = 100) {
    maximum = min(max(maxTokens, 1), 1000) * 1000
    ratio = max(tokenRatio, 1)
    tokens = maximum
  }

  package var allowsRetries: Bool { tokens > maximum / 2 }
  package mutating func recordFailure() { tokens = max(tokens - 1000, 0) }
  package mutating func recordSuccess() { tokens = min(tokens + ratio, maximum) }
}
