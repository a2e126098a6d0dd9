package import Storage

/// Optimistic writing: read, decide, transact; when something else was faster, do it all again.
///
/// Ends in `ABORTED`, `CONTENTION`, when the attempts of the policy are used up: never in a decision made on stale
/// data. Source: DESIGN 6.
package struct RetryingTransaction: Sendable {
  package let store: any TableStore
  package let errors: ServiceErrors
  package var policy: RetryPolicy
  private let random: RandomSource

  package init(
    store: any TableStore, errors: ServiceErrors, policy: RetryPolicy = RetryPolicy(), random: RandomSource = .system
  ) {
    self.store = store
    self.errors = errors
    self.policy = policy
    self.random = random
  }

  /// One turn of the cycle.
  package struct Attempt: Sendable, Hashable {
    /// Counted from 1.
    package let number: Int
    /// The places, in the writes of the attempt before, whose condition did not hold; empty on the first attempt and
    /// after a plain conflict.
    package let refused: [Int]

    package init(number: Int, refused: [Int] = []) {
      self.number = number
      self.refused = refused
    }
  }

  /// What one turn decides.
  package enum Decision<Output: Sendable>: Sendable {
    /// Write this, then answer with the output. No writes: nothing changes.
    case commit([Write], then: Output)
    /// Answer without writing, for example because the work was done already.
    case done(Output)
  }

  /// - Parameters:
  ///   - field: the request's field that holds the resource, named when its item would grow too large.
  ///   - decide: reads and decides; must have no effect of its own.
  /// - Throws: what `decide` throws; the status of a store that fails; `ABORTED` as said above.
  package func run<Output: Sendable>(
    field: String, decide: (Attempt) async throws -> Decision<Output>
  ) async throws -> Output {
    var attempt = Attempt(number: 1)
    while true {
      let failure: StoreError
      switch try await decide(attempt) {
      case .done(let output): return output
      case .commit(let writes, let output):
        if writes.isEmpty { return output }
        do throws(StoreError) {
          try await store.transact(writes)
          return output
        } catch { failure = error }
      }
      switch failure {
      case .conflict: attempt = Attempt(number: attempt.number + 1)
      case .conditionFailed(let places): attempt = Attempt(number: attempt.number + 1, refused: places)
      default: throw errors.store(failure, field: field)
      }
      if attempt.number > policy.attempts { throw errors.contention(cause: failure) }
      try await policy.sleep(policy.delay(after: attempt.number - 1, random: random))
    }
  }
}
