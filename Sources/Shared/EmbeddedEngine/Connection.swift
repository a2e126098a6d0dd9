internal import EncryptedStorage
internal import GRDB
internal import GRDBSQLite

/// One SQLite connection of the store and its prepared statements.
///
/// To be used by one thread at a time: by its own thread, or by whoever took it from a pool.
final class Connection {
  private let queue: DatabaseQueue

  init(path: String, configuration: GRDB.Configuration) throws {
    queue = try DatabaseQueue(path: path, configuration: configuration)
  }

  func prepare(_ sql: String) throws(SQLiteFailure) -> SQLStatement {
    let result = queue.unsafeRead { database in
      Result { () throws(SQLiteFailure) in try SQLStatement(database, sql) }
    }
    return try result.get()
  }

  /// For what is not on a hot path: GRDB's own interface.
  func withDatabase<Value>(_ body: (Database) throws -> Value) rethrows -> Value {
    try queue.writeWithoutTransaction(body)
  }

  /// Takes GRDB's transaction observation off this connection: its hooks demand that GRDB steps every statement, and
  /// nothing here is observed through them. Afterwards transactions are begun and ended by ``SQLStatement`` only.
  func stopObservation() {
    queue.unsafeRead { database in
      _ = unsafe sqlite3_commit_hook(database.sqliteConnection, nil, nil)
      _ = unsafe sqlite3_rollback_hook(database.sqliteConnection, nil, nil)
    }
  }

  /// Keeps the size of the WAL in `watch`, in place of SQLite's own checkpoints inside a commit.
  func watchWAL(_ watch: WALWatch) {
    queue.unsafeRead { database in
      _ = unsafe sqlite3_wal_hook(
        database.sqliteConnection,
        { context, _, _, pages in
          if let context = unsafe context {
            unsafe Unmanaged<WALWatch>.fromOpaque(context).takeUnretainedValue().pages = pages
          }
          return SQLITE_OK
        }, Unmanaged.passUnretained(watch).toOpaque())
    }
  }

  /// Lets ``close()`` remove the WAL, once a checkpoint has emptied it.
  func dropWAL() { queue.unsafeRead { unsafe WriteAheadLog.keep(false, onCloseOf: $0.sqliteConnection) } }

  /// To be called once every statement is gone. Leaves the WAL as it is.
  func close() throws { try queue.close() }
}

/// Pages in the WAL after the last commit of the connection that reports here; its thread's alone.
///
/// Must outlive the connection.
final class WALWatch {
  fileprivate(set) var pages: Int32 = 0
}

extension GRDB.Configuration {
  /// The one connection that writes: each commit is on the disk when it returns.
  static var writer: GRDB.Configuration {
    var configuration = GRDB.Configuration()
    configuration.label = "store.writer"
    configuration.journalMode = .wal
    configuration.busyMode = .timeout(10)
    // Transactions span several accesses; whoever begins one here ends it.
    configuration.allowsUnsafeTransactions = true
    configuration.prepareDatabase { database in
      // Closed after a failure, while opening too, it must not write as if nothing had happened.
      unsafe WriteAheadLog.keep(true, onCloseOf: database.sqliteConnection)
      try database.execute(sql: "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY")
    }
    return configuration
  }

  static var reader: GRDB.Configuration {
    var configuration = GRDB.Configuration()
    configuration.label = "store.reader"
    configuration.readonly = true
    configuration.busyMode = .timeout(10)
    // Transactions span several accesses; whoever begins one here ends it.
    configuration.allowsUnsafeTransactions = true
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY")
    }
    return configuration
  }
}
