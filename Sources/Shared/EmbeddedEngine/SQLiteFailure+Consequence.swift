internal import GRDBSQLite
internal import Storage

extension SQLiteFailure {
  /// What follows from a failure while writing.
  enum Consequence: Equatable {
    /// The work itself failed; the store is as it was.
    case refuse(StoreError)
    /// The cause may pass: say so, go on trying.
    case suspend(String)
    /// What is on the disk is unknown: stop for good.
    case stop(String)
  }

  /// Source of the classes: https://www.sqlite.org/rescode.html
  var consequence: Consequence {
    switch (primaryCode, code) {
    case (SQLITE_FULL, _): .suspend("the disk is full")
    case (SQLITE_NOMEM, _): .suspend("memory is exhausted")
    case (SQLITE_BUSY, _), (SQLITE_LOCKED, _): .suspend("another connection holds the database")
    case (_, Self.moved): .suspend("the store's files were moved or deleted")
    case (SQLITE_READONLY, _), (SQLITE_CANTOPEN, _), (SQLITE_PERM, _): .suspend("the files cannot be written")
    case (SQLITE_IOERR, Self.read), (SQLITE_IOERR, Self.shortRead):
      .refuse(.corrupt("the disk does not give back data"))
    case (SQLITE_IOERR, _) where isUnauthentic: .refuse(.corrupt("a page does not authenticate"))
    case (SQLITE_IOERR, _): .stop("writing to the disk failed (\(message), code \(code))")
    case (SQLITE_CORRUPT, _), (SQLITE_NOTADB, _): .refuse(.corrupt("the database is damaged"))
    default: .refuse(.unavailable("the database refused (\(message), code \(code))"))
    }
  }

  /// What a reader says.
  var readError: StoreError {
    switch primaryCode {
    case SQLITE_IOERR where isUnauthentic: .corrupt("a page does not authenticate")
    case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt("the database is damaged")
    case SQLITE_IOERR: .corrupt("the disk does not give back data")
    default: .unavailable("the database refused (\(message), code \(code))")
    }
  }

  /// SQLITE_IOERR_DATA or SQLITE_IOERR_AUTH: the encrypting VFS could not open a page.
  var isUnauthentic: Bool { code == SQLITE_IOERR | 32 << 8 || code == SQLITE_IOERR | 28 << 8 }

  static let notADatabase = SQLITE_NOTADB
  static let busy = SQLITE_BUSY
  private static let moved = SQLITE_READONLY | 4 << 8
  private static let read = SQLITE_IOERR | 1 << 8
  private static let shortRead = SQLITE_IOERR | 2 << 8
}
