internal import Storage

/// Applies transactions of the model inside one SQLite transaction, which groups as many as are waiting.
///
/// A transaction first reads and decides, then writes: one that is refused has written nothing, so a group needs no
/// savepoints (each would cost a copy of every page it touches). If SQLite itself fails in the middle, the whole group
/// is rolled back and its transactions are applied one by one, so that one of them cannot spoil the others.
///
/// To be used by the writer's thread alone.
final class TransactionWriter {
  private let connection: Connection
  private let tables: StoreTables
  private var statements: [Int64: TableStatements] = [:]
  private var begin: SQLStatement?
  private var commitGroup: SQLStatement?
  private var rollbackGroup: SQLStatement?
  private var insert: SQLStatement?
  private let walWatch = WALWatch()
  private var end = JournalPosition.start
  private var durableEnd = JournalPosition.start
  /// What the group under way has written.
  private var touches: [CommitSignal.Touch] = []
  /// Told of every group that is durable.
  let commits: CommitSignal

  init(_ connection: Connection, tables: StoreTables) throws {
    self.connection = connection
    self.tables = tables
    for layout in tables.all { statements[layout.number] = try TableStatements(layout, connection) }
    begin = try connection.prepare("BEGIN IMMEDIATE")
    commitGroup = try connection.prepare("COMMIT")
    rollbackGroup = try connection.prepare("ROLLBACK")
    insert = try connection.prepare("INSERT INTO journal (sequence, committed, checksum, changes) VALUES (?, ?, ?, ?)")
    let last = try connection.prepare("SELECT sequence, committed FROM journal ORDER BY sequence DESC LIMIT 1")
    if try last.step() { durableEnd = JournalPosition(sequence: last.integer(0), committedAt: last.integer(1)) }
    last.reset()
    end = durableEnd
    commits = CommitSignal(end: durableEnd)
    connection.stopObservation()
    connection.watchWAL(walWatch)
  }

  /// The place after the last transaction, of the group under way too.
  var position: JournalPosition { end }

  /// Pages in the WAL after the last commit.
  var walPages: Int { Int(walWatch.pages) }

  func beginGroup() throws(SQLiteFailure) { try begin?.execute() }

  func commit() throws(SQLiteFailure) {
    try commitGroup?.execute()
    durableEnd = end
    if !touches.isEmpty { commits.committed(touches, end: end) }
    touches.removeAll(keepingCapacity: true)
  }

  /// Undoes the group. SQLite may have done so by itself, then there is nothing to roll back.
  func rollback() {
    try? rollbackGroup?.execute()
    end = durableEnd
    touches.removeAll(keepingCapacity: true)
  }

  func checkpoint() throws { try connection.checkpoint() }

  /// Applies one transaction, or throws ``StoreError`` (nothing written) or ``SQLiteFailure`` (roll back the group).
  func apply(_ transaction: PreparedTransaction, now: Int64) throws {
    let found = try decide(transaction, now: now)
    let sequence = end.sequence + 1
    var changes = ByteEncoder(capacity: 1024)
    for (step, (row, previous)) in zip(transaction.steps, found) {
      guard let table = statements[step.layout.number] else { continue }
      var entry = JournalRecord.Entry(table: step.layout.number, key: step.key, body: nil, previous: previous)
      switch step.action {
      case .check: continue
      case .put(let item):
        try table.put(item, key: step.key, over: row, sequence: sequence)
        entry.body = item.body
      case .delete:
        guard let row else { continue }
        try table.delete(row)
      }
      JournalRecord.append(entry, to: &changes)
      touches.append(.init(before: end, table: step.layout.schema.name, key: step.key))
    }
    guard !changes.bytes.isEmpty else { return }
    // The journal's times never go back, even if the clock does: recovery to an instant relies on it.
    end = JournalPosition(sequence: sequence, committedAt: max(now, end.committedAt))
    try append(JournalRecord(sequence: sequence, committedAt: end.committedAt, changes: changes.bytes))
  }

  /// Does again what a record of another life of this store says, and keeps the record. Throws as ``apply(_:now:)``.
  func replay(_ record: JournalRecord) throws {
    guard record.sequence == end.sequence + 1 else {
      throw StoreError.invalidRequest("transaction \(record.sequence) does not follow \(end.sequence)")
    }
    for entry in try record.entries() {
      guard let layout = tables.byNumber[entry.table], let table = statements[entry.table] else {
        throw StoreError.corrupt("transaction \(record.sequence) of the journal names an unknown table")
      }
      let row = try table.row(entry.key, decoding: false)
      if let body = entry.body {
        guard let item = try? ItemCoding.decode(body), layout.schema.key(of: item) == entry.key else {
          throw StoreError.corrupt("an image in transaction \(record.sequence) cannot be decoded")
        }
        try table.put(layout.stored(item, key: entry.key), key: entry.key, over: row, sequence: record.sequence)
      } else if let row {
        try table.delete(row)
      }
    }
    end = JournalPosition(sequence: record.sequence, committedAt: record.committedAt)
    try append(record)
  }

  /// Deletes expired items and returns how many.
  func sweep(limit: Int, now: Int64) throws -> Int {
    var keys: [(TableLayout, ItemKey)] = []
    for layout in tables.all where layout.schema.timeToLiveAttribute != nil && keys.count < limit {
      let oldestLive = TableSchema.oldestLiveSecond(now: now)
      let expired = try statements[layout.number]?.expired(oldestLive: oldestLive, limit: limit - keys.count) ?? []
      keys += expired.map { (layout, $0) }
    }
    if !keys.isEmpty { try apply(PreparedTransaction(deleting: keys), now: now) }
    return keys.count
  }

  /// Forgets old transactions of the journal, never the newest, and returns how many.
  func prune(before time: Int64, limit: Int) throws -> Int {
    let statement = try connection.prepare(
      """
      DELETE FROM journal WHERE committed < ? AND sequence < ? AND sequence IN
        (SELECT sequence FROM journal ORDER BY sequence LIMIT ?)
      """)
    statement.bind(time, at: 1)
    statement.bind(end.sequence, at: 2)
    statement.bind(Int64(limit), at: 3)
    try statement.execute()
    return connection.withDatabase { $0.changesCount }
  }

  /// Writes something that changes nothing, to see whether the store can be written again.
  func probe() throws {
    try connection.prepare("INSERT OR REPLACE INTO settings VALUES ('probe', '')").execute()
  }

  /// Brings the WAL into the database, unless it has to stay, and closes the connection.
  func close(keepingWAL: Bool) throws {
    (begin, commitGroup, rollbackGroup, insert) = (nil, nil, nil, nil)
    statements = [:]
    let checkpoint = Result {
      guard !keepingWAL else { return }
      try connection.withDatabase { _ = try $0.checkpoint(.truncate) }
      connection.dropWAL()
    }
    try connection.close()
    do { try checkpoint.get() } catch {
      // Where another process uses the files too (a rekey), it, or who opens the store next, will copy the WAL.
      guard SQLiteFailure(error).primaryCode == SQLiteFailure.busy else { throw error }
    }
  }
}

extension TransactionWriter {
  private typealias Found = (row: TableStatements.Row?, previous: JournalRecord.Entry.Previous)

  /// Reads the row of each step, decides all conditions, and says what the writes will replace.
  private func decide(_ transaction: PreparedTransaction, now: Int64) throws -> [Found] {
    let oldestLive = TableSchema.oldestLiveSecond(now: now)
    var found: [Found] = []
    found.reserveCapacity(transaction.steps.count)
    var failed: [Int] = []
    for (index, step) in transaction.steps.enumerated() {
      let row = try statements[step.layout.number]?.row(step.key, decoding: step.condition != nil)
      let live = row.flatMap { $0.timeToLive.map { $0 < oldestLive } ?? false ? nil : $0 }
      if let condition = step.condition, !condition.holds(for: live?.item) { failed.append(index) }
      found.append((row, failed.isEmpty ? previous(of: step, row: row, live: live) : .unknown))
    }
    guard failed.isEmpty else { throw StoreError.conditionFailed(failed) }
    return found
  }

  /// What a write replaces. Of a damaged row nothing is said: writing over it or deleting it heals it.
  private func previous(
    of step: PreparedTransaction.Step, row: TableStatements.Row?, live: TableStatements.Row?
  ) -> JournalRecord.Entry.Previous {
    func isIntact(_ row: TableStatements.Row) -> Bool {
      row.item != nil || row.checksum == step.layout.checksum(key: step.key, body: row.body)
    }
    switch step.action {
    case .check: return .unknown
    case .delete: return row.flatMap { isIntact($0) ? .deleted($0.body) : nil } ?? .unknown
    case .put(let item):
      guard let live else { return .absent }
      guard isIntact(live), let names = try? ItemCoding.differingNames(live.body, item.body) else { return .unknown }
      return .differing(names)
    }
  }

  private func append(_ record: JournalRecord) throws(SQLiteFailure) {
    guard let insert else { return }
    insert.bind(record.sequence, at: 1)
    insert.bind(record.committedAt, at: 2)
    insert.bind(record.checksum, at: 3)
    insert.bind(record.changes, at: 4)
    try insert.execute()
  }
}
