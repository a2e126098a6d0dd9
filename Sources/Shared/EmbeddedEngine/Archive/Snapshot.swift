package import EncryptedStorage
internal import Foundation
package import Storage

/// Makes snapshots: whole databases in an archive, each one file that is there under its name only when it is durable.
enum Snapshot {
  struct Taken: Sendable {
    var file: SnapshotFile
    /// The last transaction that it holds.
    var position: JournalPosition
  }

  static func take(
    of database: StoreDatabase, into folder: ArchiveFolder, kind: SnapshotFile.Kind, clock: StoreClock,
    progress: DatabaseCopy.Progress = { _, _ in true }
  ) throws(ArchiveError) -> Taken {
    try FileList.make(folder.snapshotFolder)
    return try take(of: database, progress: progress) { position in
      // Every transaction in it committed by then, also where the clock went back.
      let takenAt = max(clock(), position.committedAt)
      return SnapshotFile(folder: folder.snapshotFolder, takenAt: takenAt, sequence: position.sequence, kind: kind)
    }
  }

  /// A copy beside the database, for stores that have no archive.
  static func take(of database: StoreDatabase, at path: String) throws(ArchiveError) {
    _ = try take(of: database, progress: { _, _ in true }) { position in
      SnapshotFile(path: path, takenAt: position.committedAt, sequence: position.sequence, kind: .migration)
    }
  }

  private static func take(
    of database: StoreDatabase, progress: DatabaseCopy.Progress, named name: (JournalPosition) -> SnapshotFile
  ) throws(ArchiveError) -> Taken {
    do {
      let copy = try DatabaseCopy(of: database)
      let file = name(copy.position)
      let partial = FileList.parent(of: file.path) + "/.partial-\(UUID().uuidString)"
      do {
        let writeback = Writeback(of: partial)
        try copy.write(to: database.name(of: partial)) { done, total in
          writeback.catchUp()
          return progress(done, total)
        }
        guard unsafe chmod(partial, 0o600) == 0 else {
          throw ArchiveError.file(path: partial, reason: FileList.reason())
        }
        try FileList.giveToOwner(ofDirectoryOf: partial)
        try FileList.sync(partial)
        try FileList.rename(partial, to: file.path)
      } catch {
        try? FileList.delete(partial)
        throw error
      }
      return Taken(file: file, position: copy.position)
    } catch let error as ArchiveError { throw error } catch {
      throw .database(path: database.path, reason: "the snapshot failed (\(SQLiteFailure(error).message))")
    }
  }

  /// What a crash left of snapshots, once nobody can be at work on it any more.
  static func deleteRemains(in folder: ArchiveFolder, now: Date = Date()) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.snapshotFolder)) ?? []
    for name in names where name.hasPrefix(".partial-") {
      let path = folder.snapshotFolder + "/" + name
      let attributes = try? FileManager.default.attributesOfItem(atPath: path)
      let isOld = (attributes?[.modificationDate] as? Date).map { now.timeIntervalSince($0) > 86_400 } ?? false
      if isOld { try? FileList.delete(path) }
    }
  }
}

/// Leaves the disk to others half of the time while a large file is written: to the store's commits, and to its archive.
///
/// A file that piles up in memory is written at once in the end, and every other sync on the disk waits for that.
private final class Writeback {
  private let path: String
  private var descriptor: Int32 = -1

  init(of path: String) { self.path = path }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Waits until what was written is on the disk, and as long again. A failure is told by the sync at the end.
  func catchUp() {
    if descriptor < 0 { descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { return }
    let start = ContinuousClock.now
    fdatasync(descriptor)
    // Why it sleeps: a copy that never pauses keeps the disk's queue full, and each commit's sync waits in it. Nothing can be
    // awaited inside SQLite's backup; what is blocked is the copy's own serial queue, so only who asked for it waits longer.
    Thread.sleep(forTimeInterval: min((ContinuousClock.now - start) / .seconds(1), Self.longestRest))
  }

  /// Seconds.
  private static let longestRest = 0.1
}

/// Snapshots on demand.
package enum StoreBackup {
  /// Takes a snapshot of the store in a directory, whether a service has it open or not. Blocks.
  ///
  /// - Parameter progress: pages copied and pages in all; false interrupts.
  package static func run(
    storeDirectory: String, keyRing: KeyRing, into backups: BackupDirectory, clock: StoreClock,
    progress: (Int, Int) -> Bool
  ) throws(ArchiveError) -> SnapshotFile {
    let database = try open(storeDirectory, keyRing)
    defer { database.close() }
    let folder = try folder(of: database, in: backups)
    return try Snapshot.take(of: database, into: folder, kind: .manual, clock: clock, progress: progress).file
  }

  /// Where a store is archived: the newest branch of its history, which need not be there yet.
  package static func folder(
    ofStoreIn directory: String, keyRing: KeyRing, in backups: BackupDirectory
  ) throws(ArchiveError) -> ArchiveFolder {
    let database = try open(directory, keyRing)
    defer { database.close() }
    return try folder(of: database, in: backups)
  }

  private static func open(_ directory: String, _ keyRing: KeyRing) throws(ArchiveError) -> StoreDatabase {
    do throws(EncryptedStorageError) {
      return try StoreDatabase(path: StoreDirectory.database(in: directory), keyRing: keyRing)
    } catch { throw .keys(error) }
  }

  static func folder(of database: StoreDatabase, in backups: BackupDirectory) throws(ArchiveError) -> ArchiveFolder {
    guard let history = try history(of: database) else {
      throw .database(path: database.path, reason: "the store was never opened by this release, start it once")
    }
    return try ArchiveFolder.newest(of: history, in: backups)
  }

  /// `nil` for a store that only an earlier release has opened.
  static func history(of database: StoreDatabase) throws(ArchiveError) -> String? {
    do throws(SQLiteFailure) {
      return try RawConnection(database.name, create: false)
        .texts("SELECT value FROM settings WHERE name = '\(StoreFormat.historySetting)'")?.first
    } catch { throw .database(path: database.path, reason: "it cannot be read (\(error.message))") }
  }
}
