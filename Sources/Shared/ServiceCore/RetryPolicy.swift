/// How often a read-decide-transact cycle is repeated, and how long it pauses in between.
package struct RetryPolicy: Sendable {
  /// Attempts in all, at least 1.
  package var attempts: Int
  /// The longest pause before the second attempt; it doubles with each further one.
  package var baseDelay: Duration
  /// The longest pause of all.
  package var maxDelay: Duration
  /// Pauses; throws when the task is cancelled. Replaced in tests.
  package var sleep: @Sendable (Duration) async throws -> Void

  package init(
    attempts: Int = 24, baseDelay: Duration = .milliseconds(2), maxDelay: Duration = .milliseconds(100),
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.attempts = max(1, attempts)
    self.baseDelay = baseDelay
    self.maxDelay = maxDelay
    self.sleep = sleep
  }

  /// A random pause up to the bound of this attempt ("full jitter"), so that rivals do not meet again.
  ///
  /// - Parameter attempt: the one that failed, counted from 1.
  package func delay(after attempt: Int, random: RandomSource) -> Duration {
    let bound = min(baseDelay * (1 << min(attempt - 1, 20)), maxDelay)
    var random = random
    return bound * Double.random(in: 0..<1, using: &random)
  }
}
