internal import EncryptedStorage
internal import GRDBSQLite
internal import Storage

/// Copies an encrypted database that may be in use into a new file of its own identity, by SQLite's backup interface:
/// one state of it, pages as they are, each decrypted and checked on the way and encrypted anew under the newest key.
///
/// The copy is one file without a WAL, so it can be read where nothing can be written. Its source is only read, and its
/// writers and readers go on; only the WAL cannot begin anew meanwhile. Blocks as long as it takes.
struct DatabaseCopy {
  /// Pages copied and pages in all, so far; returns false to stop.
  typealias Progress = (Int, Int) -> Bool
  private static let pagesPerStep: Int32 = 256

  let source: RawConnection
  /// The last transaction of the state that is copied.
  let position: JournalPosition

  /// Opens the source and holds on to its present state.
  init(of database: StoreDatabase) throws(SQLiteFailure) {
    source = try RawConnection(database.name, create: false)
    try source.execute("BEGIN")
    let last = try source.integers("SELECT sequence, committed FROM journal ORDER BY sequence DESC LIMIT 1")
    position = last.map { JournalPosition(sequence: $0[0], committedAt: $0[1]) } ?? .start
  }

  /// - Parameter destination: what SQLite opens; there must be no such file.
  func write(to destination: String, progress: Progress) throws {
    let copy = try RawConnection(destination, create: true)
    // The file counts only once it is whole: until then nothing needs to survive.
    try copy.execute("PRAGMA synchronous = OFF")
    try copy.execute("PRAGMA journal_mode = OFF")
    try run(into: copy, progress)
    try copy.execute("PRAGMA journal_mode = DELETE")
    try copy.close()
  }

  private func run(into copy: RawConnection, _ progress: Progress) throws {
    guard let backup = unsafe sqlite3_backup_init(copy.handle, "main", source.handle, "main") else {
      throw copy.failure()
    }
    var code = SQLITE_OK
    repeat {
      code = unsafe sqlite3_backup_step(backup, Self.pagesPerStep)
      if code == SQLITE_BUSY || code == SQLITE_LOCKED { sqlite3_sleep(5) }
      let total = unsafe Int(sqlite3_backup_pagecount(backup))
      let isWanted = unsafe progress(total - Int(sqlite3_backup_remaining(backup)), total)
      if !isWanted { code = SQLITE_INTERRUPT }
    } while code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED
    let end = unsafe sqlite3_backup_finish(backup)
    guard code == SQLITE_DONE, end == SQLITE_OK else {
      if code == SQLITE_INTERRUPT { throw ArchiveError.interrupted }
      throw SQLiteFailure(code: code == SQLITE_DONE ? end : code, message: "the copy stopped")
    }
  }
}

/// A connection for SQLite's own interfaces, where nothing of a store's connection is wanted.
///
/// To be used by one thread at a time.
@safe final class RawConnection {
  private(set) var handle: OpaquePointer?
  private static let busyTimeoutMillis: Int32 = 10_000

  init(_ name: String, create: Bool) throws(SQLiteFailure) {
    let flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX
    let code = unsafe sqlite3_open_v2(name, &handle, flags | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK else {
      let failure = failure(code)
      unsafe sqlite3_close(handle)
      unsafe handle = nil
      throw failure
    }
    unsafe sqlite3_busy_timeout(handle, Self.busyTimeoutMillis)
  }

  deinit { unsafe sqlite3_close_v2(handle) }

  func execute(_ sql: String) throws(SQLiteFailure) {
    let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw failure(code) }
  }

  /// The integers of the first row, if there is one.
  func integers(_ sql: String) throws(SQLiteFailure) -> [Int64]? {
    try unsafe row(sql) { unsafe sqlite3_column_int64($0, $1) }
  }

  /// The texts of the first row, if there is one.
  func texts(_ sql: String) throws(SQLiteFailure) -> [String]? {
    try unsafe row(sql) { statement, column in
      unsafe sqlite3_column_text(statement, column).map { unsafe String(cString: $0) } ?? ""
    }
  }

  func close() throws(SQLiteFailure) {
    let code = unsafe sqlite3_close(handle)
    guard code == SQLITE_OK else { throw failure(code) }
    unsafe handle = nil
  }

  func failure(_ code: Int32? = nil) -> SQLiteFailure {
    unsafe SQLiteFailure(
      code: code ?? sqlite3_extended_errcode(handle), message: String(cString: sqlite3_errmsg(handle)))
  }

  private func row<Value>(
    _ sql: String, _ value: (OpaquePointer?, Int32) -> Value
  ) throws(SQLiteFailure) -> [Value]? {
    var statement: OpaquePointer?
    guard unsafe sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else { throw failure() }
    defer { unsafe sqlite3_finalize(statement) }
    switch unsafe sqlite3_step(statement) {
    case SQLITE_ROW: return unsafe (0..<sqlite3_column_count(statement)).map { unsafe value(statement, $0) }
    case SQLITE_DONE: return nil
    default: throw failure()
    }
  }
}
