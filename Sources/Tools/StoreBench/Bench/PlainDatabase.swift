internal import Foundation
internal import GRDBSQLite

/// A plain SQLite connection: default VFS, WAL, `synchronous=FULL`, the caches and checkpoints of the store's writer.
final class PlainDatabase {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  let connection: OpaquePointer

  init(_ path: String) throws {
    var opened: OpaquePointer?
    guard sqlite3_open(path, &opened) == SQLITE_OK, let opened else {
      throw Failure(description: "cannot open \(path)")
    }
    connection = opened
    try run(
      """
      PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;
      PRAGMA wal_autocheckpoint = 4096;
      """)
  }

  deinit { sqlite3_close(connection) }

  func run(_ sql: String) throws {
    guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
  }

  func prepare(_ sql: String) throws -> OpaquePointer {
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK, let statement else { throw failure() }
    return statement
  }

  func failure() -> Failure { Failure(description: String(cString: sqlite3_errmsg(connection))) }
}

/// What transactions left in a store's tables and journal, ready to be bound to statements again.
final class StoredRows {
  fileprivate struct Row {
    let table: Int
    let values: [OpaquePointer?]
  }

  /// Of one transaction each.
  fileprivate private(set) var transactions: [[Row]] = []
  fileprivate let tables: [String]

  /// - Parameters:
  ///   - store: a store's database, in clear; it may be open elsewhere.
  ///   - sequence: of the last transaction that is not wanted.
  init(_ store: PlainDatabase, after sequence: Int) throws {
    tables = try store.tables()
    for (table, name) in tables.enumerated() {
      let rows = try store.prepare("SELECT sequence, * FROM \"\(name)\" WHERE sequence > \(sequence) ORDER BY rowid")
      defer { sqlite3_finalize(rows) }
      while sqlite3_step(rows) == SQLITE_ROW {
        let place = Int(sqlite3_column_int64(rows, 0)) - sequence
        while transactions.count < place { transactions.append([]) }
        let values = (1..<sqlite3_column_count(rows)).map { sqlite3_value_dup(sqlite3_column_value(rows, $0)) }
        transactions[place - 1].append(Row(table: table, values: values))
      }
    }
  }

  deinit {
    for row in transactions.joined() { for value in row.values { sqlite3_value_free(value) } }
  }
}

extension PlainDatabase {
  /// The tables that creates write to.
  fileprivate func tables() throws -> [String] {
    try texts("SELECT name FROM sqlite_schema WHERE name LIKE 'clinicavoice-%' AND type = 'table'") + ["journal"]
  }

  fileprivate func texts(_ sql: String) throws -> [String] {
    let statement = try prepare(sql)
    defer { sqlite3_finalize(statement) }
    var texts: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW { texts.append(String(cString: sqlite3_column_text(statement, 0))) }
    return texts
  }

  /// Makes the tables and indexes that a store has, empty.
  func copySchema(of store: PlainDatabase) throws {
    let schema = try store.texts(
      """
      SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND (tbl_name LIKE 'clinicavoice-%' OR tbl_name = 'journal')
      ORDER BY type DESC
      """)
    for sql in schema { try run(sql) }
  }

  /// Inserts all rows in groups of these sizes.
  func insert(_ rows: StoredRows, groups: [Int]) async throws -> CreateFigures {
    let inserts = try rows.tables.enumerated().map { table, name in
      let columns = rows.transactions.joined().first { $0.table == table }?.values.count ?? 0
      return try prepare(
        "INSERT INTO \"\(name)\" VALUES (\(Array(repeating: "?", count: columns).joined(separator: ", ")))")
    }
    let (begin, commit) = (try prepare("BEGIN IMMEDIATE"), try prepare("COMMIT"))
    defer { for statement in inserts + [begin, commit] { sqlite3_finalize(statement) } }
    return try await measure(creates: rows.transactions.count) {
      var next = rows.transactions[...]
      for size in groups {
        try execute(begin)
        for row in next.prefix(size).joined() {
          for (column, value) in row.values.enumerated() {
            sqlite3_bind_value(inserts[row.table], Int32(column + 1), value)
          }
          try execute(inserts[row.table])
        }
        try execute(commit)
        next = next.dropFirst(size)
      }
      guard next.isEmpty else { throw Failure(description: "\(next.count) transactions have no group") }
    }
  }

  private func execute(_ statement: OpaquePointer) throws {
    guard sqlite3_step(statement) == SQLITE_DONE else { throw failure() }
    sqlite3_reset(statement)
  }
}
