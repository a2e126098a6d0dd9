internal import GRDB
internal import Storage

/// What a check of the whole store found.
package struct VerificationReport: Sendable, Hashable {
  package var items = 0
  package var transactions = 0
  /// What is wrong, one sentence each, at most ``problemLimit``; names tables and numbers, never keys or values.
  package var problems: [String] = []

  package var isClean: Bool { problems.isEmpty }
  package static let problemLimit = 100
}

/// One run over a snapshot of the store, on a connection of its own.
struct Verification {
  private let tables: StoreTables
  private let connection: Connection

  init(path: String, tables: StoreTables) throws {
    self.tables = tables
    connection = try Connection(path: path, configuration: .reader)
  }

  /// - Parameter sweep: what the service knows about its items; it is given those that are not expired.
  func run(_ sweep: consuming (any ItemSweep)?, oldestLive: Int64) throws -> VerificationReport {
    defer { try? connection.close() }
    var report = VerificationReport()
    try connection.prepare("BEGIN").execute()
    try checkStructure(&report)
    let first = try checkSequence(&report)
    for layout in tables.all { try check(layout, firstSequence: first, oldestLive: oldestLive, &sweep, &report) }
    try checkImages(&report)
    try connection.prepare("COMMIT").execute()
    for problem in sweep?.problems() ?? [] { report.note(problem) }
    return report
  }
}

extension Verification {
  /// Pages, and for each SQL index its entries against its rows, in both directions.
  private func checkStructure(_ report: inout VerificationReport) throws {
    let check = try connection.prepare("PRAGMA integrity_check(\(VerificationReport.problemLimit))")
    defer { check.reset() }
    while try check.step() {
      guard let text = check.text(0), text != "ok" else { continue }
      report.note("SQLite: \(text)")
    }
  }

  /// Numbers without gaps, times that never go back. Returns the first number kept.
  private func checkSequence(_ report: inout VerificationReport) throws -> Int64 {
    let rows = try connection.prepare("SELECT sequence, committed FROM journal ORDER BY sequence")
    defer { rows.reset() }
    var first: Int64?
    var last: (sequence: Int64, committed: Int64)?
    while try rows.step() {
      let next = (sequence: rows.integer(0), committed: rows.integer(1))
      if let last, next.sequence != last.sequence + 1 {
        report.note("the journal jumps from \(last.sequence) to \(next.sequence)")
      }
      if let last, next.committed < last.committed { report.note("time goes back at \(next.sequence) in the journal") }
      first = first ?? next.sequence
      last = next
      report.transactions += 1
    }
    return first ?? 1
  }

  /// Each item's checksum and columns, and that the journal has the transaction that wrote it, with this very image.
  private func check(
    _ layout: TableLayout, firstSequence: Int64, oldestLive: Int64, _ sweep: inout (any ItemSweep)?,
    _ report: inout VerificationReport
  ) throws {
    let list = layout.attributes.map { ", " + layout.column(of: $0) }.joined()
    let rows = try connection.prepare("SELECT row, pk, sk, sequence, checksum, body, ttl\(list) FROM \(layout.sql)")
    let images = try ImageLookup(connection)
    defer { rows.reset() }
    while try rows.step() {
      report.items += 1
      let place = "row \(rows.integer(0)) of \(layout.name)"
      let key = ItemKey(rows.text(1) ?? "", rows.text(2) ?? "")
      let body = rows.blob(5)
      do throws(StoreError) {
        let item = try layout.item(key: key, body: body, checksum: rows.integer(4))
        let columns = layout.attributes.indices.map { rows.isNull(Int32($0) + 7) ? nil : rows.text(Int32($0) + 7) }
        let expected = layout.columns(of: item)
        if columns.map({ $0.map(AttributeValue.string) }) != expected.map({ $0.map(AttributeValue.string) }) {
          report.note("\(place): its index columns differ from its item")
        }
        if rows.optionalInteger(6) != layout.schema.timeToLive(of: item) {
          report.note("\(place): its time to live differs from its item")
        }
        if layout.schema.timeToLive(of: item) ?? .max >= oldestLive { sweep?.add(item, of: layout.schema) }
      } catch { report.note("\(place): \(error)") }
      let sequence = rows.integer(3)
      if sequence >= firstSequence, try images.body(of: key, in: layout, at: sequence) != body {
        report.note("\(place): differs from what transaction \(sequence) of the journal wrote")
      }
    }
  }

  /// From the newest transaction to the oldest: what the journal says was last done to a key is what the key has.
  private func checkImages(_ report: inout VerificationReport) throws {
    struct Place: Hashable {
      var table: Int64
      var key: ItemKey
    }
    let rows = try connection.prepare(
      "SELECT sequence, committed, checksum, changes FROM journal ORDER BY sequence DESC")
    defer { rows.reset() }
    var lookups: [Int64: SQLStatement] = [:]
    for layout in tables.all {
      lookups[layout.number] = try connection.prepare(
        "SELECT sequence FROM \(layout.sql) WHERE pk = ? AND sk = ?")
    }
    // Absent keys whose deletion was seen: what was put before it may be gone.
    var deleted: Set<Place> = []
    while try rows.step() {
      let record = JournalRecord(rows)
      let entries: [JournalRecord.Entry]
      do throws(StoreError) { entries = try record.entries() } catch {
        report.note("\(error)")
        continue
      }
      for entry in entries {
        guard let lookup = lookups[entry.table] else { continue }
        lookup.bind(entry.key.partition, at: 1)
        lookup.bind(entry.key.sort, at: 2)
        let current: Int64? = try lookup.step() ? lookup.integer(0) : nil
        lookup.reset()
        let place = Place(table: entry.table, key: entry.key)
        switch (current, entry.body) {
        case (nil, nil): deleted.insert(place)
        case (nil, .some) where !deleted.contains(place):
          report.note("an item that transaction \(record.sequence) wrote is gone without a deletion")
        case (let current?, .some) where current < record.sequence:
          report.note("an item is older than what transaction \(record.sequence) wrote")
        case (let current?, nil) where current <= record.sequence:
          report.note("an item that transaction \(record.sequence) deleted is there")
        default: break
        }
      }
    }
  }
}

/// What a transaction of the journal wrote for a key.
private struct ImageLookup {
  private let statement: SQLStatement

  init(_ connection: Connection) throws(SQLiteFailure) {
    statement = try connection.prepare("SELECT sequence, committed, checksum, changes FROM journal WHERE sequence = ?")
  }

  func body(of key: ItemKey, in layout: TableLayout, at sequence: Int64) throws -> [UInt8]? {
    statement.bind(sequence, at: 1)
    defer { statement.reset() }
    guard try statement.step() else { return nil }
    let entries = (try? JournalRecord(statement).entries()) ?? []
    return entries.first { $0.table == layout.number && $0.key == key }?.body
  }
}

extension VerificationReport {
  fileprivate mutating func note(_ problem: String) {
    if problems.count < Self.problemLimit { problems.append(problem) }
  }
}
