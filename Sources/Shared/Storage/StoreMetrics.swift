/// What a call to a store was, in DynamoDB's names, by which its figures are kept.
package enum StoreOperation: String, Sendable, CaseIterable {
  case getItem = "GetItem"
  case batchGetItem = "BatchGetItem"
  case putItem = "PutItem"
  case deleteItem = "DeleteItem"
  case transactWriteItems = "TransactWriteItems"
  case query = "Query"
  /// Never recorded: the model has no scan. The figure is there to show that.
  case scan = "Scan"
}

/// One call to a store, when it is over.
package struct StoreObservation: Sendable {
  package var operation: StoreOperation
  /// The logical name of the table (of the first write's, in a transaction over several).
  package var table: String
  package var duration: Duration
  /// Items read or written.
  package var items: Int
  package var capacity: StoreCapacity
  package var error: StoreError?
}

/// Capacity units as DynamoDB counts them: 1 read unit for each 4 KiB read consistently, half for an index; 1 write unit
/// for each KiB written, twice that in a transaction of several writes.
package struct StoreCapacity: Sendable, Hashable {
  package var readUnits = 0.0
  package var writeUnits = 0.0

  package init(readUnits: Double = 0, writeUnits: Double = 0) {
    self.readUnits = readUnits
    self.writeUnits = writeUnits
  }

  static func reading(bytes: Int, index: Bool) -> StoreCapacity {
    StoreCapacity(readUnits: Double(max(1, (bytes + 4095) / 4096)) * (index ? 0.5 : 1))
  }

  static func writing(_ writes: [Write]) -> StoreCapacity {
    let units = writes.map { write in
      if case .put(let item) = write.action { max(1, (item.byteCount + 1023) / 1024) } else { 1 }
    }
    return StoreCapacity(writeUnits: Double(units.reduce(0, +) * (writes.count > 1 ? 2 : 1)))
  }
}

/// Where observations go. Called on the path of every call: must be quick and must not block.
package protocol StoreMetrics: Sendable {
  func record(_ observation: StoreObservation)
}

/// A store that tells `metrics` of each call to `base`, whatever engine that is.
package struct ObservedStore<Base: TableStore>: TableStore {
  package let base: Base
  private let metrics: any StoreMetrics

  package init(_ base: Base, metrics: any StoreMetrics) {
    self.base = base
    self.metrics = metrics
  }

  package func get(_ key: ItemKey, from table: TableSchema) async throws(StoreError) -> Item? {
    try await observe(.getItem, table) { () async throws(StoreError) in
      try await base.get(key, from: table)
    } cost: { item in
      (item == nil ? 0 : 1, .reading(bytes: item?.byteCount ?? 0, index: false))
    }
  }

  package func batchGet(_ keys: [ItemKey], from table: TableSchema) async throws(StoreError) -> [Item] {
    try await observe(.batchGetItem, table) { () async throws(StoreError) in
      try await base.batchGet(keys, from: table)
    } cost: { items in
      let absent = Double(keys.count - items.count)
      return (
        items.count,
        StoreCapacity(
          readUnits: items.reduce(absent) { $0 + StoreCapacity.reading(bytes: $1.byteCount, index: false).readUnits })
      )
    }
  }

  package func query(_ query: Query) async throws(StoreError) -> Page {
    try await observe(.query, query.table) { () async throws(StoreError) in
      try await base.query(query)
    } cost: { page in
      (page.items.count, .reading(bytes: page.items.reduce(0) { $0 + $1.byteCount }, index: query.index != nil))
    }
  }

  package func transact(_ writes: [Write]) async throws(StoreError) {
    guard let first = writes.first else { return try await base.transact(writes) }
    try await observe(StoreOperation(of: writes), first.table) { () async throws(StoreError) in
      try await base.transact(writes)
    } cost: { _ in
      (writes.count, .writing(writes))
    }
  }

  private func observe<Value>(
    _ operation: StoreOperation, _ table: TableSchema, _ call: () async throws(StoreError) -> Value,
    cost: (Value) -> (items: Int, capacity: StoreCapacity)
  ) async throws(StoreError) -> Value {
    let start = ContinuousClock.now
    func record(items: Int, _ capacity: StoreCapacity, _ error: StoreError?) {
      metrics.record(
        StoreObservation(
          operation: operation, table: table.name, duration: ContinuousClock.now - start, items: items,
          capacity: capacity, error: error))
    }
    do {
      let value = try await call()
      let (items, capacity) = cost(value)
      record(items: items, capacity, nil)
      return value
    } catch {
      record(items: 0, StoreCapacity(), error)
      throw error
    }
  }
}

extension StoreOperation {
  fileprivate init(of writes: [Write]) {
    guard writes.count == 1, let write = writes.first else {
      self = .transactWriteItems
      return
    }
    switch write.action {
    case .put: self = .putItem
    case .delete: self = .deleteItem
    case .check: self = .transactWriteItems
    }
  }
}

extension ObservedStore: ChangeJournal where Base: ChangeJournal {
  package func changes(after sequence: Int64, limit: Int) async throws(StoreError) -> [CommittedTransaction] {
    try await base.changes(after: sequence, limit: limit)
  }

  package func changes(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int
  ) async throws(StoreError) -> JournalPage? {
    try await base.changes(after: position, matching: filter, limit: limit)
  }

  package func journalBounds() async throws(StoreError) -> ClosedRange<Int64>? { try await base.journalBounds() }

  package var commits: CommitSignal { base.commits }

  @discardableResult
  package func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int {
    try await base.pruneJournal(before: time, limit: limit)
  }
}

extension ObservedStore: ExpirySweeping where Base: ExpirySweeping {
  @discardableResult
  package func sweepExpired(limit: Int) async throws(StoreError) -> Int { try await base.sweepExpired(limit: limit) }
}
