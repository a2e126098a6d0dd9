internal import EncryptedStorage
internal import Foundation
internal import GRDB
package import Storage
internal import Synchronization

/// The table store in SQLite files of one directory: durable, transactional, for one process at a time.
///
/// - Writes are queued (bounded) for one writer thread that commits them in groups, WAL with `synchronous=FULL`, and
///   answers after the sync. Readers never wait for writers and see only what is durable.
/// - Single keys are read on the caller's own thread over a pooled connection, without suspension; queries and larger
///   batches run on reader threads, so no event loop and no cooperative thread waits for the disk.
/// - Every item and journal record has a checksum; a mismatch is ``StoreError/corrupt(_:)``, never an answer.
///
/// See ``TableLayout`` for what lies where, ``StoreFormat`` for migrations, ``Status`` for what happens on faults.
package final class EmbeddedStore: TableStore {
  let directory: StoreDirectory
  let database: StoreDatabase
  private let clock: StoreClock
  let tables: StoreTables
  /// Tells this store's life from that of others (see ``ArchiveFolder``).
  package let history: String
  let health: StoreHealth
  private let writer: CommitLoop
  private let readers: ReaderPool
  package let commits: CommitSignal
  private let isClosing = Mutex(false)
  /// Held while keys are added, so that what the lock's file says is never older than what another thread added.
  let keyChange = Mutex(())

  /// Opens the store, making it if the directory is empty, and brings it to this release's format.
  package static func open(_ configuration: Configuration) async throws(EmbeddedStoreError) -> EmbeddedStore {
    // Opening touches the disk for long; it does so on a thread of its own.
    let result: Result<EmbeddedStore, EmbeddedStoreError> = await withCheckedContinuation { answer in
      Thread.detachNewThread {
        do throws(EmbeddedStoreError) {
          answer.resume(returning: .success(try EmbeddedStore(configuration)))
        } catch { answer.resume(returning: .failure(error)) }
      }
    }
    return try result.get()
  }

  private init(_ configuration: Configuration) throws(EmbeddedStoreError) {
    let directory = try StoreDirectory(path: configuration.directory, keys: configuration.keyRing?.labels ?? [])
    do {
      let files = try StoreDatabase(
        path: directory.database, keyRing: configuration.keyRing, over: configuration.baseVFS)
      try files.makeWALDurable()
      database = files
      let connection = try Connection(path: files.name, configuration: .writer)
      try connection.makeDurable()
      let prepared = try connection.withDatabase { database in
        // GRDB does not hear of it when this fails as its transaction is committed.
        guard try String.fetchOne(database, sql: "PRAGMA journal_mode") == "wal" else {
          throw EmbeddedStoreError.failed(path: directory.path, reason: "the database does not enter WAL mode")
        }
        // After a burst (or a long reader) the WAL's file shrinks to this when it is begun anew.
        try database.execute(sql: "PRAGMA journal_size_limit = \(64 << 20)")
        if let bytes = configuration.maximumBytes {
          try database.execute(sql: "PRAGMA max_page_count = \(bytes / 4096)")
        }
        return try StoreFormat.prepare(
          database, path: directory.path, environment: configuration.environment, tables: configuration.tables
        ) { format in
          try Self.keep(files, format: format, in: directory, configuration)
        }
      }
      tables = StoreTables(prepared.layouts)
      history = prepared.history
      try directory.publish(keys: configuration.keyRing?.labels ?? [], history: history)
      health = StoreHealth(onChange: configuration.onStatusChange)
      let transactions = try TransactionWriter(connection, tables: tables)
      commits = transactions.commits
      readers = try ReaderPool(
        path: database.name, inline: ProcessInfo.processInfo.activeProcessorCount + 1,
        threads: configuration.readerThreads, capacity: configuration.queuedReads)
      let checkpointer = try Checkpointer(
        path: database.name, pages: configuration.checkpointPages, health: health)
      writer = CommitLoop(transactions, checkpointer: checkpointer, health: health, configuration: configuration)
    } catch {
      directory.release()
      throw Self.openError(error, path: directory.path)
    }
    self.directory = directory
    clock = configuration.clock
    writer.start()
  }

  /// Whether the store can be written, and if not, why.
  package var status: Status { health.status }

  /// Finishes what is queued, refuses the rest, brings all into the database file and gives the lock back.
  ///
  /// Every opened store must be closed: its threads and its lock live until then. A second call does nothing.
  ///
  /// - Throws: ``EmbeddedStoreError/failed(path:reason:)`` if that went wrong; what was acknowledged is in the WAL then.
  package func close() async throws(EmbeddedStoreError) {
    let isFirst = isClosing.withLock { isClosing in
      defer { isClosing = true }
      return !isClosing
    }
    guard isFirst else { return }
    var failures: [any Error] = []
    do { try await readers.close() } catch { failures.append(error) }
    do { try await writer.close() } catch { failures.append(error) }
    database.close()
    health.move(to: .closed)
    directory.release()
    if let failure = failures.first {
      throw .failed(path: directory.path, reason: SQLiteFailure(failure).message)
    }
  }

  private static func openError(_ error: any Error, path: String) -> EmbeddedStoreError {
    switch error {
    case let error as EmbeddedStoreError: error
    case let error as EncryptedStorageError: .keys(error)
    case let error as ArchiveError: .failed(path: path, reason: "\(error)")
    case let error as StoreError: .failed(path: path, reason: "\(error)")
    default:
      switch SQLiteFailure(error).primaryCode {
      case _ where SQLiteFailure(error).isUnauthentic:
        .failed(path: path, reason: "store.sqlite or its WAL is damaged: a page does not authenticate")
      case SQLiteFailure.notADatabase:
        .notAStore(path: path, reason: "store.sqlite is not a database, or encrypted and no keys are given")
      default: .failed(path: path, reason: SQLiteFailure(error).message)
      }
    }
  }
}

// MARK: The model

extension EmbeddedStore {
  package func get(_ key: ItemKey, from table: TableSchema) async throws(StoreError) -> Item? {
    try StoreRules.check(key)
    let layout = try tables.layout(of: table)
    let oldestLive = oldestLive(in: table)
    return try await readers.readInline { try $0.get(key, in: layout, oldestLive: oldestLive) }
  }

  package func batchGet(_ keys: [ItemKey], from table: TableSchema) async throws(StoreError) -> [Item] {
    try StoreRules.check(keys)
    let layout = try tables.layout(of: table)
    let oldestLive = oldestLive(in: table)
    let read: @Sendable (ItemReader) throws -> [Item] = { reader in
      try keys.compactMap { try reader.get($0, in: layout, oldestLive: oldestLive) }
    }
    return keys.count <= Self.inlineKeys ? try await readers.readInline(read) : try await readers.read(read)
  }

  package func query(_ query: Query) async throws(StoreError) -> Page {
    let index = try StoreRules.index(of: query)
    guard let plan = QueryPlan(query, index: index, layout: try tables.layout(of: query.table)) else {
      return Page(items: [], next: nil)
    }
    let oldestLive = oldestLive(in: query.table)
    return try await readers.read { try $0.page(plan, oldestLive: oldestLive) }
  }

  package func transact(_ writes: [Write]) async throws(StoreError) {
    _ = try await writer.submit(.transact(PreparedTransaction(writes, tables: tables)))
  }

  /// Keys that are read on the caller's own thread, at most.
  private static let inlineKeys = 4

  private func oldestLive(in table: TableSchema) -> Int64 {
    table.timeToLiveAttribute == nil ? .min : TableSchema.oldestLiveSecond(now: clock())
  }
}

// MARK: Journal, sweeper, verification

extension EmbeddedStore: ChangeJournal, ExpirySweeping {
  package func changes(after sequence: Int64, limit: Int) async throws(StoreError) -> [CommittedTransaction] {
    try Self.check(limit)
    let tables = tables.byNumber
    return try await readers.read { try $0.transactions(after: sequence, limit: limit, tables: tables) }
  }

  package func changes(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int
  ) async throws(StoreError) -> JournalPage? {
    try Self.check(limit)
    let tables = tables.byNumber
    return try await readers.read { reader in
      try reader.journalPage(after: position, matching: filter, limit: limit, tables: tables)
    }
  }

  package func journalBounds() async throws(StoreError) -> ClosedRange<Int64>? {
    try await readers.read { try $0.journalBounds() }
  }

  @discardableResult
  package func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int {
    try Self.check(limit)
    return try await writer.submit(.prune(before: time, limit: limit))
  }

  @discardableResult
  package func sweepExpired(limit: Int) async throws(StoreError) -> Int {
    try Self.check(limit)
    return try await writer.submit(.sweep(limit: limit))
  }

  /// Compares everything with everything: SQLite's own structures, checksums, index columns against items, the journal's
  /// numbers, and its last images against the items. Sees one snapshot; writers and readers go on meanwhile.
  ///
  /// - Parameter sweep: compares the items with each other by the service's own rules.
  package func verify(
    _ sweep: (any ItemSweep)? = nil
  ) async throws(StoreError) -> VerificationReport {
    let (tables, path) = (tables, database.name)
    let oldestLive = TableSchema.oldestLiveSecond(now: clock())
    // A reader of its own, so that queries do not wait behind it.
    let result: Result<VerificationReport, StoreError> = await withCheckedContinuation { answer in
      Thread.detachNewThread {
        let result = Result { try Verification(path: path, tables: tables).run(sweep, oldestLive: oldestLive) }
        answer.resume(returning: result.mapError { ($0 as? StoreError) ?? SQLiteFailure($0).readError })
      }
    }
    return try result.get()
  }

  private static func check(_ limit: Int) throws(StoreError) {
    guard (1...StoreLimits.queryItems).contains(limit) else { throw .invalidRequest("limit \(limit) is out of range") }
  }
}
