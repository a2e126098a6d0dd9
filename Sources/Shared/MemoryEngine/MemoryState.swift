internal import Storage

/// All tables and the journal: what the store's lock guards.
struct MemoryState {
  private var tables: [String: MemoryTable]
  private(set) var journal: [CommittedTransaction] = []
  /// The last sequence that was forgotten.
  private(set) var prunedThrough: Int64 = 0
  private var end = JournalPosition.start
  private let commits: CommitSignal

  init(tables: [TableSchema], commits: CommitSignal) {
    self.commits = commits
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

    var images: [Image] = []
    for (write, key) in zip(writes, keys) {
      switch write.action {
      case .check: continue
      case .put(let item): images.append(Image(table: write.table.name, key: key, item: item))
      case .delete: images.append(Image(table: write.table.name, key: key, item: nil))
      }
    }
    commit(images, now: now)
  }

  /// Deletes expired items, as a transaction of its own.
  mutating func sweep(limit: Int, now: Int64) -> Int {
    let expired = tables.values.flatMap { table in
      table.expired(now: now).map { Image(table: table.schema.name, key: $0, item: nil) }
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

  func page(after position: JournalPosition, matching filter: ChangeFilter, limit: Int) -> JournalPage? {
    let first = journal.first?.sequence ?? 1
    // One place before what is kept is as good as kept: nothing after it was forgotten.
    guard (first - 1...end.sequence).contains(position.sequence) else { return nil }
    if position.sequence >= first, journal[Int(position.sequence - first)].position != position { return nil }
    let examined = journal.dropFirst(Int(position.sequence - first + 1)).prefix(limit)
    let admitted = examined.compactMap { transaction in
      var transaction = transaction
      transaction.changes.removeAll { !filter.admits(table: $0.table, key: $0.key) }
      return transaction.changes.isEmpty ? nil : transaction
    }
    let through = examined.last?.position ?? position
    return JournalPage(transactions: admitted, through: through, reachesEnd: through.sequence == end.sequence)
  }

  private struct Image {
    var table: String
    var key: ItemKey
    var item: Item?
  }

  private mutating func commit(_ images: [Image], now: Int64) {
    var changes: [CommittedTransaction.Change] = []
    for image in images {
      guard let table = tables[image.table] else { continue }
      let previous: CommittedTransaction.Previous
      switch (image.item, table.live(image.key, now: now)) {
      case (nil, _):
        guard let last = table.stored(image.key) else { continue }
        previous = .deleted(last)
      case (_?, nil): previous = .absent
      case (let item?, let live?): previous = .differing(item.names(differingFrom: live))
      }
      _ = tables[image.table]?.set(image.key, to: image.item)
      changes.append(.init(table: image.table, key: image.key, image: image.item, previous: previous))
    }
    guard !changes.isEmpty else { return }
    let before = end
    end = JournalPosition(sequence: end.sequence + 1, committedAt: max(now, end.committedAt))
    journal.append(CommittedTransaction(sequence: end.sequence, committedAt: end.committedAt, changes: changes))
    commits.committed(changes.map { .init(before: before, table: $0.table, key: $0.key) }, end: end)
  }
}

extension Item {
  /// Attributes that only one of two items has, or that differ, in byte order.
  fileprivate func names(differingFrom other: Item) -> [String] {
    Set(keys).union(other.keys).filter { self[$0] != other[$0] }.sorted { $0.precedesBytewise($1) }
  }
}
