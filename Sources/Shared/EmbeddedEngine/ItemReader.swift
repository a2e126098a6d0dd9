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
    let statement = try journal ?? connection.prepare(JournalRecord.select)
    journal = statement
    statement.bind(sequence, at: 1)
    statement.bind(Int64(limit), at: 2)
    defer { statement.reset() }
    var transactions: [CommittedTransaction] = []
    var bytes = 0
    while bytes < StoreLimits.transactionBytes, try statement.step() {
      let record = JournalRecord(statement)
      guard !transactions.isEmpty || record.sequence == sequence + 1 else {
        throw StoreError.invalidRequest("the journal no longer reaches that far")
      }
      bytes += record.changes.count
      transactions.append(try record.transaction(tables: tables))
    }
    return transactions
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
