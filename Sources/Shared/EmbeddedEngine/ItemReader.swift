internal import Storage

/// Reads over one connection: single keys, pages of queries, the journal.
///
/// To be used by one thread at a time, as its connection.
final class ItemReader {
  let connection: Connection
  private var lookups: [Int64: SQLStatement] = [:]
  private var scans: [QueryPlan.Shape: SQLStatement] = [:]
  private var journal: SQLStatement?
  private var bounds: SQLStatement?

  init(_ connection: Connection) { self.connection = connection }

  func get(_ key: ItemKey, in layout: TableLayout, oldestLive: Int64) throws -> Item? {
    let statement = try lookup(layout)
    statement.bind(key.partition, at: 1)
    statement.bind(key.sort, at: 2)
    defer { statement.reset() }
    guard try statement.step() else { return nil }
    if let timeToLive = statement.optionalInteger(1), timeToLive < oldestLive { return nil }
    return try layout.item(key: key, body: statement.blob(2), checksum: statement.integer(0))
  }

  func page(_ plan: QueryPlan, oldestLive: Int64) throws -> Page {
    let layout = plan.layout
    let statement = try scan(plan)
    plan.bind(to: statement, oldestLive: oldestLive)
    defer { statement.reset() }
    var page = Page(items: [], next: nil)
    var bytes = 0
    var last: Query.Cursor?
    while try statement.step() {
      if page.items.count == plan.limit || bytes >= StoreLimits.pageBytes {
        page.next = last
        break
      }
      let key = ItemKey(statement.text(0) ?? "", statement.text(1) ?? "")
      let body = statement.blob(4)
      let item = try layout.item(key: key, body: body, checksum: statement.integer(3))
      page.items.append(item)
      bytes += item.byteCount
      last = Query.Cursor(sortKey: statement.text(2) ?? "", item: key)
    }
    return page
  }

  func transactions(after sequence: Int64, limit: Int, tables: [Int64: TableLayout]) throws -> [CommittedTransaction] {
    var transactions: [CommittedTransaction] = []
    var bytes = 0
    try forEachRecord(from: sequence + 1, limit: limit) { record in
      guard !transactions.isEmpty || record.sequence == sequence + 1 else {
        throw StoreError.invalidRequest("the journal no longer reaches that far")
      }
      bytes += record.changes.count
      transactions.append(try record.transaction(tables: tables))
      return bytes < StoreLimits.transactionBytes
    }
    return transactions
  }

  func journalPage(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int, tables: [Int64: TableLayout]
  ) throws -> JournalPage? {
    var page = JournalPage(transactions: [], through: position, reachesEnd: true)
    var (bytes, examined, isContinuous) = (0, 0, position.sequence == 0)
    // The record of the place itself shows that the place is of this history. Two more than asked for: that one, and
    // one that shows whether there is more.
    try forEachRecord(from: position.sequence, limit: limit + 2) { record in
      if record.sequence == position.sequence {
        isContinuous = record.committedAt == position.committedAt
        return isContinuous
      }
      if examined == 0 {
        // The place's own record may just have been pruned; nothing after it was then.
        isContinuous = record.sequence == position.sequence + 1
        guard isContinuous else { return false }
      }
      guard examined < limit, bytes < StoreLimits.pageBytes else {
        page.reachesEnd = false
        return false
      }
      let transaction = try record.transaction(tables: tables, matching: filter)
      if !transaction.changes.isEmpty {
        page.transactions.append(transaction)
        bytes += record.changes.count
      }
      page.through = transaction.position
      examined += 1
      return true
    }
    return isContinuous ? page : nil
  }

  /// Calls `body` with the records from a sequence on, until it returns false.
  private func forEachRecord(
    from sequence: Int64, limit: Int, _ body: (JournalRecord) throws -> Bool
  ) throws {
    let statement = try journal ?? connection.prepare(JournalRecord.select)
    journal = statement
    statement.bind(sequence, at: 1)
    statement.bind(Int64(limit), at: 2)
    defer { statement.reset() }
    while try statement.step(), try body(JournalRecord(statement)) {}
  }

  func journalBounds() throws -> ClosedRange<Int64>? {
    let statement =
      try bounds
      ?? connection.prepare("SELECT (SELECT min(sequence) FROM journal), (SELECT max(sequence) FROM journal)")
    bounds = statement
    defer { statement.reset() }
    guard try statement.step(), let first = statement.optionalInteger(0) else { return nil }
    return first...statement.integer(1)
  }

  func close() throws {
    lookups = [:]
    scans = [:]
    journal = nil
    bounds = nil
    try connection.close()
  }

  private func lookup(_ layout: TableLayout) throws -> SQLStatement {
    if let statement = lookups[layout.number] { return statement }
    let statement = try connection.prepare("SELECT checksum, ttl, body FROM \(layout.sql) WHERE pk = ? AND sk = ?")
    lookups[layout.number] = statement
    return statement
  }

  private func scan(_ plan: QueryPlan) throws -> SQLStatement {
    if let statement = scans[plan.shape] { return statement }
    let statement = try connection.prepare(plan.sql)
    scans[plan.shape] = statement
    return statement
  }
}
