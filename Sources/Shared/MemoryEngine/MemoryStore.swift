package import Storage
internal import Synchronization

/// The table store in memory, for tests of what is built on the model.
///
/// It passes the same contract suite as the durable engines and differs from them in this:
/// - nothing survives the process, and "durable" means applied;
/// - one lock serves readers and writers, so it never says ``StoreError/conflict``, ``StoreError/overloaded``,
///   ``StoreError/unavailable(_:)`` or ``StoreError/corrupt(_:)``, and no call suspends;
/// - an insertion into an index costs a move of its partition's entries: fine for thousands, not for millions.
package final class MemoryStore: TableStore {
  private let state: Mutex<MemoryState>
  private let now: StoreClock
  package let commits = CommitSignal()

  package init(tables: [TableSchema], now: @escaping StoreClock = systemStoreClock) {
    state = Mutex(MemoryState(tables: tables, commits: commits))
    self.now = now
  }

  package func get(_ key: ItemKey, from table: TableSchema) async throws(StoreError) -> Item? {
    try StoreRules.check(key)
    return try withState { (state) throws(StoreError) in try state.table(table).live(key, now: now()) }
  }

  package func batchGet(_ keys: [ItemKey], from table: TableSchema) async throws(StoreError) -> [Item] {
    try StoreRules.check(keys)
    return try withState { (state) throws(StoreError) in
      let table = try state.table(table)
      let now = now()
      return keys.compactMap { table.live($0, now: now) }
    }
  }

  package func query(_ query: Query) async throws(StoreError) -> Page {
    let index = try StoreRules.index(of: query)
    return try withState { (state) throws(StoreError) in
      try state.table(query.table).page(query, index: index?.name, now: now())
    }
  }

  package func transact(_ writes: [Write]) async throws(StoreError) {
    let keys = try StoreRules.keys(of: writes)
    try withState { (state) throws(StoreError) in try state.apply(writes, keys: keys, now: now()) }
  }
}

extension MemoryStore: ChangeJournal, ExpirySweeping {
  package func changes(after sequence: Int64, limit: Int) async throws(StoreError) -> [CommittedTransaction] {
    guard (1...StoreLimits.queryItems).contains(limit) else { throw .invalidRequest("limit \(limit) is out of range") }
    return try withState { (state) throws(StoreError) in
      guard sequence >= state.prunedThrough else { throw .invalidRequest("the journal no longer reaches that far") }
      return Array(state.journal.drop { $0.sequence <= sequence }.prefix(limit))
    }
  }

  package func changes(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int
  ) async throws(StoreError) -> JournalPage? {
    guard (1...StoreLimits.queryItems).contains(limit) else { throw .invalidRequest("limit \(limit) is out of range") }
    return withState { state in state.page(after: position, matching: filter, limit: limit) }
  }

  package func journalBounds() async throws(StoreError) -> ClosedRange<Int64>? {
    withState { state in
      guard let first = state.journal.first, let last = state.journal.last else { return nil }
      return first.sequence...last.sequence
    }
  }

  @discardableResult
  package func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int {
    withState { state in state.prune(before: time, limit: limit) }
  }

  @discardableResult
  package func sweepExpired(limit: Int) async throws(StoreError) -> Int {
    guard (1...StoreLimits.queryItems).contains(limit) else { throw .invalidRequest("limit \(limit) is out of range") }
    return withState { state in state.sweep(limit: limit, now: now()) }
  }
}

extension MemoryStore {
  private func withState<Result: Sendable, Failure: Error>(
    _ body: (inout sending MemoryState) throws(Failure) -> sending Result
  ) throws(Failure) -> Result {
    try state.withLock(body)
  }
}
