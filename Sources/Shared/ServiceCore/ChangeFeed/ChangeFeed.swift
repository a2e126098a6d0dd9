package import CivilTime
internal import RPC
package import Storage

/// Serves watches: a clinician's changes since a token, then each as it is committed, in the order of commits.
///
/// A watch reads the journal from its own place, so nothing is queued for it, however slow its consumer is; a commit
/// only wakes it. What it sends is bounded by what the transport takes. Source: DOMAIN 11.
package struct ChangeFeed<Kind: Hashable & Sendable>: Sendable {
  /// How watches wait. Replaced in tests.
  package struct Pacing: Sendable {
    /// How long a consumer may take to make room for a response before it is cut off.
    package var stallLimit = Duration.seconds(30)
    /// Throws when the task is cancelled.
    package var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    package init() {}
  }

  let journal: any ChangeJournal
  let resources: [FedResource<Kind>]
  let clock: WallClock
  let pacing: Pacing
  let errors: ServiceErrors
  private let tokens: PageTokens
  private let drain: DrainSignal
  private let register: WatchRegister

  package init(
    journal: any ChangeJournal, resources: [FedResource<Kind>], tokens: PageTokens, clock: WallClock,
    errors: ServiceErrors, drain: DrainSignal = DrainSignal(), limits: WatchLimits = WatchLimits(),
    pacing: Pacing = Pacing()
  ) {
    self.journal = journal
    self.resources = resources
    self.tokens = tokens
    self.clock = clock
    self.errors = errors
    self.drain = drain
    self.pacing = pacing
    register = WatchRegister(limits)
  }

  /// How many watches there are.
  package var watchCount: Int { register.count }

  /// Serves `watch` until its caller ends it; never returns without an error.
  ///
  /// - Parameter send: returns once the transport has room for another response.
  /// - Throws: `INVALID_ARGUMENT` `CHANGE_TOKEN_INVALID`, `FAILED_PRECONDITION` `CHANGE_TOKEN_EXPIRED`,
  ///   `RESOURCE_EXHAUSTED` `OVERLOADED` (too slow, or too many watches), `UNAVAILABLE` `DRAINING`.
  package func serve(
    _ watch: Watch<Kind>, send: @escaping @Sendable (FeedResponse<Kind>) async throws -> Void
  ) async throws {
    let start = try startingPlace(of: watch)
    guard let place = register.enter(watch.caller) else {
      throw errors.make(.overloaded, "There are too many watches, of this caller or in all.")
    }
    defer { withExtendedLifetime(place) {} }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        var run = FeedRun(feed: self, watch: watch, send: send)
        try await run.run(from: start)
      }
      group.addTask { await drain.wait() }
      defer { group.cancelAll() }
      try await group.next()
      try Task.checkCancellation()
      throw errors.make(.draining, "The service is shutting down; go on from the last token.")
    }
  }
}

extension ChangeFeed {
  /// Where a watch begins; `nil`: now.
  private func startingPlace(of watch: Watch<Kind>) throws(RPCError) -> JournalPosition? {
    if watch.resumeToken.isEmpty { return nil }
    guard let parts = tokens.open(watch.resumeToken, binding: watch.binding), parts.count == 2,
      let sequence = Int64(parts[0]), let committedAt = Int64(parts[1])
    else { throw errors.make(.changeTokenInvalid, "It is no token of this feed for this caller.") }
    return JournalPosition(sequence: sequence, committedAt: committedAt)
  }

  func token(_ place: JournalPosition, _ watch: Watch<Kind>) throws(RPCError) -> String {
    try tokens.seal([String(place.sequence), String(place.committedAt)], binding: watch.binding)
  }
}
