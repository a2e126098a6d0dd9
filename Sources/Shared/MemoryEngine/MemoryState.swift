internal import Storage

/// All tables and the journal: what the store's lock guards.
struct MemoryState {
  private var tables: [String: MemoryTable]
  private(set) var journal: [CommittedTransaction] = []
  /// The last sequence that was forgotten.
  private(set) var prunedThrough: Int64 = 0
  private var lastSequence: Int64 = 0

  init(tables: [TableSchema]) {
    self.tables = Dictionary(tables.map { ($0.name, MemoryTable(schema: $0)) }) { _, last in last }
  }

  func table(_ schema: TableSchema) throws(StoreError) -> MemoryTable {
    guard let table = tables[schema.name], table.schema == schema else {
      throw .invalidRequest("the store has no table \(schema.name) like that")
    }
    return table
  }

  mutating func apply(_ writes: [Write], keys: [ItemKey], now: Int64) throws(StoreError) {
    var failed: [Int] = []
    for (index, (write, key)) in zip(writes, keys).enumerated() {
      let item = try table(write.table).live(key, now: now)
      if let condition = write.condition, !condition.holds(for: item) { failed.append(index) }
    }
    guard failed.isEmpty else { throw .conditionFailed(failed) }

    var changes: [CommittedTransaction.Change] = []
    for (write, key) in zip(writes, keys) {
      switch write.action {
      case .check: continue
      case .put(let item): changes.append(.init(table: write.table.name, key: key, image: item))
      case .delete: changes.append(.init(table: write.table.name, key: key, image: nil))
      }
    }
    commit(changes, now: now)
  }

  /// Deletes expired items, as a transaction of its own.
  mutating func sweep(limit: Int, now: Int64) -> Int {
    let expired = tables.values.flatMap { table in
      table.expired(now: now).map { CommittedTransaction.Change(table: table.schema.name, key: $0, image: nil) }
    }
    let batch = Array(expired.prefix(limit))
    commit(batch, now: now)
    return batch.count
  }

  mutating func prune(before time: Int64, limit: Int) -> Int {
    let old = journal.dropLast().prefix { $0.committedAt < time }.prefix(limit)
    let (count, last) = (old.count, old.last?.sequence)
    journal.removeFirst(count)
    prunedThrough = last ?? prunedThrough
    return count
  }

  private mutating func commit(_ changes: [CommittedTransaction.Change], now: Int64) {
    let effective = changes.filter { tables[$0.table]?.set($0.key, to: $0.image) ?? false }
    guard !effective.isEmpty else { return }
    lastSequence += 1
    let committedAt = max(now, journal.last?.committedAt ?? now)
    journal.append(CommittedTransaction(sequence: lastSequence, committedAt: committedAt, changes: effective))
  }
}
