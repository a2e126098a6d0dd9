package import CivilTime
package import RPC
package import Storage

/// Runs mutations in the one order of checks of DOMAIN 8:
///
/// 1. authentication and 2. role: interceptors, before the handler;
/// 3. partition and validation that needs no clock, all violations at once: the handler, with ``FieldViolations``,
///    before it calls ``run(_:field:context:replay:decide:)``;
/// 4. idempotency replay: here;
/// 5. rules that need the clock, 6. existence and scope, 7. etag, 8. state, 9. the remote reference, 10. conflicts: in
///    `decide`, in this order, anew on every attempt (a remote answer may be kept between attempts);
/// 11. commit, together with the idempotency record: here.
package struct Mutations: Sendable {
  package let idempotency: IdempotencyRecords
  package let transactions: RetryingTransaction
  private let clock: WallClock

  package init(idempotency: IdempotencyRecords, transactions: RetryingTransaction, clock: WallClock) {
    self.idempotency = idempotency
    self.transactions = transactions
    self.clock = clock
  }

  /// What one attempt decides.
  package struct Decision<Output: Sendable>: Sendable {
    package var writes: [Write]
    /// Ids of what the writes make or change; what a replay is answered from.
    package var resources: [String]
    package var output: Output

    /// Without writes nothing changes, and that is remembered as well.
    package init(writes: [Write] = [], resources: [String], output: Output) {
      self.writes = writes
      self.resources = resources
      self.output = output
    }
  }

  /// - Parameters:
  ///   - key: what the request is recognized by; `nil` when it has no request id.
  ///   - field: the request's field that holds the resource.
  ///   - replay: answers from the resources as they are now.
  ///   - decide: steps 5 to 10. `refused` in the attempt names places in the writes of the decision before.
  package func run<Output: Sendable>(
    _ key: IdempotencyKey?, field: String, context: ServerContext,
    replay: (IdempotencyRecord) async throws -> Output,
    decide: (RetryingTransaction.Attempt, Instant) async throws -> Decision<Output>
  ) async throws -> Output {
    if let output = try await replayed(key, context: context, replay: replay) { return output }
    return try await transactions.run(field: field) { attempt in
      if attempt.number > 1, let output = try await replayed(key, context: context, replay: replay) {
        return .done(output)
      }
      let now = clock.now()
      let decision: Decision<Output>
      do {
        decision = try await decide(attempt, now)
      } catch {
        // A duplicate of this request may have committed meanwhile and have brought about the very state that is
        // refused here.
        if let output = try await replayed(key, context: context, replay: replay) { return .done(output) }
        throw error
      }
      let record = key.map { idempotency.write($0, resources: decision.resources, now: now) }
      return .commit(decision.writes + (record.map { [$0] } ?? []), then: decision.output)
    }
  }

  private func replayed<Output: Sendable>(
    _ key: IdempotencyKey?, context: ServerContext, replay: (IdempotencyRecord) async throws -> Output
  ) async throws -> Output? {
    guard let key, let record = try await idempotency.find(key, now: clock.now()) else { return nil }
    let output = try await replay(record)
    context.markReplayed()
    return output
  }
}
