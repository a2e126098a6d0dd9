internal import CEncryptedVFS

/// What is done with the WAL of any SQLite database, encrypted or not, where SQLite does too little after a failed sync.
package enum WriteAheadLog {
  /// Writes the WAL's bytes to their places again and syncs them, before the database is opened.
  ///
  /// After a failed sync the kernel may take bytes for written that the disk does not have. SQLite would recover such
  /// commits, commit more after them, and lose both with the power.
  ///
  /// - Parameter base: the registered VFS that reaches the disk; `nil` is SQLite's own.
  package static func writeAgain(databaseAt path: String, over base: String?) throws(EncryptedStorageError) {
    let code = unsafe cev_wal_write_again(base, path)
    guard code == SQLITE_OK else { throw .sqlite(code: code) }
  }

  /// Whether a connection, as the last one, leaves the WAL as it is when it is closed. SQLite's way is a checkpoint, which
  /// would copy from a log whose sync has failed.
  ///
  /// - Parameter connection: an open `sqlite3 *`.
  @safe package static func keep(_ keeps: Bool, onCloseOf connection: OpaquePointer?) {
    _ = unsafe cev_keep_wal(connection, keeps)
  }
}
