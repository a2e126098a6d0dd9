package import NIOCore
package import RPC

/// Decides after each attempt of one call whether there is another. Pure: time and randomness are passed in.
///
/// Source: gRFC A6; WIRE W54.
package struct RetryState: Sendable {
  /// How far an attempt got.
  package enum Progress: Sendable, Hashable {
    /// Nothing of it reached the wire: it may be repeated without bound.
    case neverSent
    /// The server says that it did not process it (REFUSED_STREAM, or a stream above GOAWAY's last id).
    case refused
    /// The server may have processed it.
    case processed
  }

  /// `grpc-retry-pushback-ms` of the trailers.
  package enum Pushback: Sendable, Hashable {
    case none
    case after(TimeAmount)
    /// Negative or unparsable.
    case stop

    /// - Parameter value: the header's value; `nil` when it was not there.
    package init(headerValue value: String?) {
      guard let value else {
        self = .none
        return
      }
      guard let milliseconds = Int32(value), milliseconds >= 0 else {
        self = .stop
        return
      }
      self = .after(.milliseconds(Int64(milliseconds)))
    }
  }

  package enum Decision: Sendable, Hashable {
    case retry(at: NIODeadline)
    case fail
  }

  private let policy: RetryPolicy?
  /// Attempts so far that counted for the policy; the one under way is not in it.
  private var attempts = 0
  private var retriesSincePushback = 0
  private var usedRefusal = false

  package init(policy: RetryPolicy?) { self.policy = policy }

  /// What goes into `grpc-previous-rpc-attempts` of the next attempt; zero means that the header is left out.
  package var previousAttempts: Int { attempts }

  /// An attempt ended with a status that is not OK.
  ///
  /// - Parameter committed: response headers were seen, or the request can no longer be repeated.
  package mutating func attemptFailed(
    _ code: StatusCode, progress: Progress, committed: Bool, pushback: Pushback = .none, now: NIODeadline,
    deadline: NIODeadline?, throttle: inout RetryThrottle?, using generator: inout some RandomNumberGenerator
  ) -> Decision {
    if committed { return .fail }
    if let deadline, deadline <= now { return .fail }
    switch progress {
    case .neverSent: return .retry(at: now)
    case .refused where !usedRefusal:
      usedRefusal = true
      return .retry(at: now)
    case .refused, .processed: break
    }
    guard let policy else { return .fail }
    let isRetryable = policy.retryableCodes.contains(code)
    if isRetryable || pushback == .stop { throttle?.recordFailure() }
    attempts += 1
    guard isRetryable, pushback != .stop, attempts < policy.maxAttempts, throttle?.allowsRetries ?? true else {
      return .fail
    }
    let delay: TimeAmount
    switch pushback {
    case .after(let exactly):
      retriesSincePushback = 0
      delay = exactly
    case .none, .stop:
      retriesSincePushback += 1
      delay = policy.delay(beforeRetry: retriesSincePushback, using: &generator)
    }
    let at = now + delay
    // A retry that could not start before the deadline would only hide the status that the caller can learn from.
    if let deadline, deadline <= at { return .fail }
    return .retry(at: at)
  }
}
