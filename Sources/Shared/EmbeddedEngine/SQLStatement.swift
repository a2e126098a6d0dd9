internal import GRDB
internal import GRDBSQLite

/// What SQLite said no to. The text names files and columns, never values.
struct SQLiteFailure: Error, Sendable, Hashable {
  /// SQLite's extended result code.
  var code: Int32
  var message: String

  /// The result code without its extension.
  var primaryCode: Int32 { code & 0xFF }
}

extension SQLiteFailure {
  init(_ error: any Error) {
    if let failure = error as? SQLiteFailure {
      self = failure
    } else if let error = error as? DatabaseError {
      self.init(code: error.extendedResultCode.rawValue, message: error.message ?? "SQLite error")
    } else {
      self.init(code: SQLITE_ERROR, message: "\(type(of: error))")
    }
  }
}

/// A prepared statement of one connection, driven by SQLite's own calls: binding and stepping through them costs a
/// third of what GRDB's typed rows and arguments do. GRDB owns the handle and finalizes it.
///
/// To be used by one thread at a time, as its connection. Every use ends with ``reset()`` (or ``execute()``).
@safe final class SQLStatement {
  private let statement: Statement
  private let handle: OpaquePointer
  private var bindFailure: Int32 = SQLITE_OK

  init(_ database: Database, _ sql: String) throws(SQLiteFailure) {
    do { statement = try database.makeStatement(sql: sql) } catch { throw SQLiteFailure(error) }
    unsafe handle = unsafe statement.sqliteStatement
  }

  // MARK: Parameters, numbered from 1

  func bind(_ value: Int64?, at index: Int32) {
    if let value {
      note(unsafe sqlite3_bind_int64(handle, index, value))
    } else {
      note(unsafe sqlite3_bind_null(handle, index))
    }
  }

  func bind(_ value: String?, at index: Int32) {
    guard var value else { return note(unsafe sqlite3_bind_null(handle, index)) }
    value.withUTF8 { bytes in
      unsafe bytes.withMemoryRebound(to: CChar.self) { bytes in
        // A nil pointer would mean NULL; an empty string has an address of its own.
        let start = unsafe bytes.baseAddress ?? emptyText
        note(unsafe sqlite3_bind_text(handle, index, start, Int32(clamping: bytes.count), transient))
      }
    }
  }

  /// Binds text that need not be valid UTF-8, as a bound of a range.
  func bind(text bytes: [UInt8], at index: Int32) {
    unsafe bytes.withUnsafeBytes { bytes in
      let bytes = unsafe bytes.bindMemory(to: CChar.self)
      let start = unsafe bytes.baseAddress ?? emptyText
      note(unsafe sqlite3_bind_text(handle, index, start, Int32(clamping: bytes.count), transient))
    }
  }

  func bind(_ bytes: [UInt8], at index: Int32) {
    unsafe bytes.withUnsafeBytes {
      note(unsafe sqlite3_bind_blob(handle, index, $0.baseAddress, Int32(clamping: $0.count), transient))
    }
  }

  // MARK: Execution

  /// Moves to the next row; false at the end.
  func step() throws(SQLiteFailure) -> Bool {
    guard bindFailure == SQLITE_OK else { throw SQLiteFailure(code: bindFailure, message: "a value cannot be bound") }
    switch unsafe sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default:
      let connection = unsafe sqlite3_db_handle(handle)
      let failure = unsafe SQLiteFailure(
        code: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection)))
      reset()
      throw failure
    }
  }

  func reset() {
    _ = unsafe sqlite3_reset(handle)
    bindFailure = SQLITE_OK
  }

  /// Runs to the end and resets.
  func execute() throws(SQLiteFailure) {
    defer { reset() }
    while try step() {}
  }

  // MARK: Columns of the current row, numbered from 0

  func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }
  func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }
  func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }

  func text(_ column: Int32) -> String? {
    guard let start = unsafe sqlite3_column_text(handle, column) else { return nil }
    let count = unsafe Int(sqlite3_column_bytes(handle, column))
    return unsafe String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  func blob(_ column: Int32) -> [UInt8] {
    guard let start = unsafe sqlite3_column_blob(handle, column) else { return [] }
    return unsafe Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }

  private func note(_ code: Int32) { if code != SQLITE_OK { bindFailure = code } }
}

/// SQLITE_TRANSIENT: SQLite copies the bytes before the call returns.
// The value is SQLite's constant for "copy" and is never called; a function pointer has no other way to be -1.
nonisolated(unsafe) private let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)

// A static string lives as long as the process and is never written.
nonisolated(unsafe) private let emptyText = unsafe UnsafeRawPointer(StaticString("").utf8Start)
  .assumingMemoryBound(to: CChar.self)
