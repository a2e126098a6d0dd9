internal import EncryptedStorage
internal import Foundation
internal import Storage

/// What happens before an archive is written: the right folder, its lock, where it ends, and a snapshot to begin with.
struct ArchiveOpening {
  let folder: ArchiveFolder
  let lock: ArchiveLock
  let place: ArchivePlace

  init(
    database: StoreDatabase, history: String, tables: StoreTables, keyRing: KeyRing,
    configuration: StoreArchive.Configuration
  ) throws(ArchiveError) {
    var folder = try ArchiveFolder.newest(of: history, in: configuration.backups)
    var lock = try ArchiveLock(folder)
    var place = try ArchivePlace.find(in: folder, keyRing: keyRing)
    if let found = place, try !Self.journal(of: database, goesOnFrom: found.position) {
      // The store was set back, or lost what the archive has: its records would contradict those.
      lock.release()
      folder = ArchiveFolder(backups: configuration.backups, history: history, branch: folder.branch + 1)
      lock = try ArchiveLock(folder)
      place = nil
    }
    Snapshot.deleteRemains(in: folder)
    if let found = place, found.tables == tables.catalog, try !folder.snapshots().isEmpty {
      self.place = found
    } else {
      let taken = try Snapshot.take(of: database, into: folder, kind: .scheduled, clock: configuration.clock)
      configuration.onEvent(.snapshot(taken.file))
      // Records go on from where they were, also past a change of tables: an older snapshot needs those before it. A
      // segment tells its tables once, so it is not gone on with.
      self.place = ArchivePlace(position: place?.position ?? taken.position, tables: nil, open: nil)
    }
    self.folder = folder
    self.lock = lock
  }

  /// Whether the journal has the very transaction that the archive ends with, so that what follows it follows.
  private static func journal(
    of database: StoreDatabase, goesOnFrom position: JournalPosition
  ) throws(ArchiveError) -> Bool {
    guard position.sequence > 0 else { return true }
    do {
      let found = try RawConnection(database.name, create: false)
        .integers("SELECT committed FROM journal WHERE sequence = \(position.sequence)")
      return found == [position.committedAt]
    } catch { throw .database(path: database.path, reason: error.message) }
  }
}

/// Keeps a second process from writing an archive. It is `flock`'s, so it ends with the process.
final class ArchiveLock: Sendable {
  private let descriptor: Int32

  init(_ folder: ArchiveFolder) throws(ArchiveError) {
    try FileList.make(folder.snapshotFolder)
    try FileList.make(folder.journalFolder)
    descriptor = unsafe open(folder.lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(path: folder.lockFile, reason: FileList.reason()) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      Foundation.close(descriptor)
      throw code == EWOULDBLOCK
        ? .inUse(path: folder.path) : .file(path: folder.lockFile, reason: FileList.reason(code))
    }
  }

  /// To be called once. Unlocked by name: a child that is just being started has the descriptor still.
  func release() {
    flock(descriptor, LOCK_UN)
    Foundation.close(descriptor)
  }
}

/// Deletes what no instant within the retention needs.
enum ArchiveRetention {
  /// Keeps the newest snapshot from before the horizon, every snapshot after it, all records that follow that one, and
  /// snapshots that were asked for or made at a migration, for ever.
  ///
  /// - Returns: how many files were deleted.
  static func enforce(in folder: ArchiveFolder, horizon: Int64) throws(ArchiveError) -> Int {
    let snapshots = try folder.snapshots()
    guard let base = snapshots.last(where: { $0.takenAt <= horizon }) else { return 0 }
    var doomed = snapshots.filter { $0.kind == .scheduled && $0.takenAt < base.takenAt }.map(\.path)
    let segments = try folder.segments()
    for (file, next) in zip(segments, segments.dropFirst())
    where next.first <= base.sequence + 1 && file.first < next.first {
      doomed.append(file.path)
    }
    for path in doomed { try FileList.delete(path) }
    return doomed.count
  }
}
