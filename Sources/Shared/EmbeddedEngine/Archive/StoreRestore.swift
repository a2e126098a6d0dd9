package import EncryptedStorage
internal import Foundation
internal import GRDB
package import Storage

/// Makes a new store as an archived one was at an instant: the last snapshot before it, and the records from there.
///
/// The new store has a life of its own (another history), keys under the newest key of the ring, and the journal of its
/// origin up to the instant. It is built beside its place and takes its name when it is whole, durable and verified; an
/// existing directory is never touched.
package struct StoreRestore: Sendable {
  /// The directory that the service archived into.
  package var backups: BackupDirectory
  /// Which history, by the name of its folder; `nil`: the one that was alive at the instant.
  package var history: String?
  /// The state to restore, in microseconds since 1970: every transaction that had committed by then.
  package var instant: Int64
  /// The new store's directory; must not exist.
  package var destination: String
  package var environment: String
  package var tables: [TableSchema]
  package var keyRing: KeyRing

  package init(
    backups: BackupDirectory, history: String? = nil, instant: Int64, destination: String, environment: String,
    tables: [TableSchema], keyRing: KeyRing
  ) {
    self.backups = backups
    self.history = history
    self.instant = instant
    self.destination = destination
    self.environment = environment
    self.tables = tables
    self.keyRing = keyRing
  }

  /// How far a restore has come.
  package enum Progress: Sendable, Hashable {
    case copying(pages: Int, of: Int)
    case replaying(transactions: Int)
    case verifying
  }

  package struct Result: Sendable {
    package var folder: ArchiveFolder
    package var snapshot: SnapshotFile
    /// Replayed on top of the snapshot.
    package var transactions: Int
    /// The last transaction that the new store has.
    package var position: JournalPosition
    /// Whether the archive has transactions after the instant, so that the state at the instant is surely complete.
    package var reachesBeyond: Bool
    package var report: VerificationReport
  }

  /// Blocks. Leaves nothing behind if it throws.
  ///
  /// - Parameters:
  ///   - sweep: compares the items with each other by the service's own rules.
  ///   - progress: false interrupts.
  package func run(
    _ sweep: (any ItemSweep)?, progress: (Progress) -> Bool
  ) throws(ArchiveError) -> Result {
    let place = destination.hasSuffix("/") ? String(destination.dropLast()) : destination
    guard unsafe access(place, F_OK) != 0 else { throw .destinationExists(path: place) }
    let (folder, snapshot) = try choose()
    let work = place + ".restoring-\(UUID().uuidString.prefix(8))"
    try FileList.make(work)
    do {
      let result = try build(in: work, from: folder, snapshot, sweep, progress)
      try FileList.rename(work, to: place)
      return result
    } catch {
      try? FileManager.default.removeItem(atPath: work)
      throw Self.archiveError(error, path: work)
    }
  }

  /// The newest snapshot from before the instant, of the history that had begun last by then.
  private func choose() throws(ArchiveError) -> (ArchiveFolder, SnapshotFile) {
    let all = try backups.histories()
    guard !all.isEmpty else { throw .nothing(path: backups.path) }
    let folders = all.filter { history == nil || $0.name == history }
    if let history, folders.isEmpty { throw .unknownHistory(name: history, path: backups.path) }
    var best: (folder: ArchiveFolder, began: Int64, snapshot: SnapshotFile)?
    var oldest: Int64?
    for folder in folders {
      let snapshots = try folder.snapshots()
      guard let first = snapshots.first else { continue }
      oldest = min(oldest ?? first.takenAt, first.takenAt)
      guard let snapshot = snapshots.last(where: { $0.takenAt <= instant }) else { continue }
      if best.map({ $0.began < first.takenAt }) ?? true { best = (folder, first.takenAt, snapshot) }
    }
    if let best { return (best.folder, best.snapshot) }
    throw oldest.map { .tooOld(oldest: $0) } ?? .nothing(path: backups.path)
  }

  private func build(
    in directory: String, from folder: ArchiveFolder, _ snapshot: SnapshotFile, _ sweep: (any ItemSweep)?,
    _ progress: (Progress) -> Bool
  ) throws -> Result {
    let path = StoreDirectory.database(in: directory)
    try copy(snapshot, to: path, progress)
    let database = try StoreDatabase(path: path, keyRing: keyRing)
    defer { database.close() }
    let replay = try StoreReplay(database, environment: environment, tables: tables, path: directory)
    var reader = try ArchiveReader(folder, after: replay.position, keyRing: keyRing)
    var (transactions, reachesBeyond) = (0, false)
    do {
      try reader.forEach { record, start in
        reachesBeyond = record.committedAt > instant
        guard !reachesBeyond else { return false }
        guard replay.means(start) else { throw ArchiveError.otherTables(path: folder.path) }
        try replay.apply(record)
        transactions += 1
        guard transactions % 1000 != 0 || progress(.replaying(transactions: transactions)) else {
          throw ArchiveError.interrupted
        }
        return true
      }
    } catch ArchiveError.gap where transactions == 0 && instant == snapshot.takenAt {
      // A snapshot that was kept longer than the records after it stands for its own moment.
    }
    let position = replay.position
    try replay.finish()
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
      try FileList.sync(directory + "/" + name)
    }
    try FileList.sync(directory)
    guard progress(.verifying) else { throw ArchiveError.interrupted }
    let report = try Verification(path: database.name, tables: replay.tables)
      .run(sweep, oldestLive: TableSchema.oldestLiveSecond(now: instant))
    // The database is whole without them: only readers came after it was closed.
    for suffix in ["-wal", "-shm"] { try FileList.delete(path + suffix) }
    return Result(
      folder: folder, snapshot: snapshot, transactions: transactions, position: position, reachesBeyond: reachesBeyond,
      report: report)
  }

  private func copy(_ snapshot: SnapshotFile, to path: String, _ progress: (Progress) -> Bool) throws {
    let source = try StoreDatabase(path: snapshot.path, keyRing: keyRing)
    defer { source.close() }
    try DatabaseCopy(of: source).write(to: source.name(of: path)) { done, total in
      progress(.copying(pages: done, of: total))
    }
    guard unsafe chmod(path, 0o600) == 0 else { throw ArchiveError.file(path: path, reason: FileList.reason()) }
  }

  static func archiveError(_ error: any Error, path: String) -> ArchiveError {
    switch error {
    case let error as ArchiveError: error
    case let error as EncryptedStorageError: .keys(error)
    case let error as EmbeddedStoreError: .store(error)
    case let error as StoreError: .database(path: path, reason: "\(error)")
    default: .database(path: path, reason: SQLiteFailure(error).message)
    }
  }
}

/// A store that is being built from records. Not durable before ``finish()``.
final class StoreReplay {
  let tables: StoreTables
  private let writer: TransactionWriter
  private var understood: SegmentStart?
  private var isInGroup = false
  private var inGroup = 0
  private static let groupSize = 1000

  init(_ database: StoreDatabase, environment: String, tables: [TableSchema], path: String) throws {
    let connection = try Connection(path: database.name, configuration: .writer)
    let layouts = try connection.withDatabase { database in
      try database.execute(sql: "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0")
      let declared = try StoreFormat.prepare(database, path: path, environment: environment, tables: tables) { _ in }
      try StoreFormat.renewHistory(in: database)
      // With tables that this release no longer declares: their records are done again as well.
      let others = try StoreFormat.layouts(in: database).filter { table in
        !declared.layouts.contains { $0.number == table.number }
      }
      return declared.layouts + others
    }
    self.tables = StoreTables(layouts)
    writer = try TransactionWriter(connection, tables: self.tables)
  }

  /// The last transaction.
  var position: JournalPosition { writer.position }

  /// Whether records of a segment mean here what they meant where they were written.
  func means(_ start: SegmentStart) -> Bool {
    if start == understood { return true }
    guard Set(tables.catalog).isSuperset(of: start.tables) else { return false }
    understood = start
    return true
  }

  func apply(_ record: JournalRecord) throws {
    if !isInGroup {
      try writer.beginGroup()
      isInGroup = true
    }
    try writer.replay(record)
    inGroup += 1
    if inGroup == Self.groupSize { try endGroup() }
  }

  /// Brings everything into the database file and closes it.
  func finish() throws {
    try endGroup()
    try writer.close(keepingWAL: false)
  }

  private func endGroup() throws {
    guard isInGroup else { return }
    try writer.commit()
    if writer.walPages > 16_384 { try writer.checkpoint() }
    (isInGroup, inGroup) = (false, 0)
  }
}
