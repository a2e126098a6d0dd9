package import EncryptedStorage
internal import GRDB
internal import Storage

/// What a check of a history's archive found.
package struct ArchiveReport: Sendable, Hashable {
  package var snapshots = 0
  package var segments = 0
  package var transactions = 0
  /// Any instant from here on can be restored; `nil` if there is no snapshot that records follow.
  package var restorableFrom: Int64?
  /// When the last archived transaction committed.
  package var through: Int64?
  /// What is wrong, one sentence each, at most as many as of a store; names files and numbers, never keys or values.
  package var problems: [String] = []

  package var isClean: Bool { problems.isEmpty }

  /// - Parameter problem: with or without a full stop.
  mutating func note(_ problem: String, at path: String) {
    guard problems.count < VerificationReport.problemLimit else { return }
    let problem = problem.hasSuffix(".") ? String(problem.dropLast()) : problem
    problems.append(problem.contains(path) ? problem : "\(path): \(problem)")
  }
}

/// Checks that everything in an archive is what was written, and that it can be restored: each snapshot as a store of its
/// own, and every record from the oldest snapshot on, in order, without a gap.
package struct ArchiveVerification: Sendable {
  private let folder: ArchiveFolder
  private let keyRing: KeyRing
  private let storeDirectory: String?

  /// - Parameter storeDirectory: the store itself, whose journal must say the same as the archive. It may be open.
  package init(_ folder: ArchiveFolder, keyRing: KeyRing, storeDirectory: String? = nil) {
    self.folder = folder
    self.keyRing = keyRing
    self.storeDirectory = storeDirectory
  }

  /// Blocks. - Parameter progress: told of each file before it is read.
  package func run(progress: (String) -> Void = { _ in }) throws(ArchiveError) -> ArchiveReport {
    var report = ArchiveReport()
    for file in try folder.snapshots() {
      progress(file.path)
      report.snapshots += 1
      for problem in check(file) { report.note(problem, at: file.path) }
    }
    try checkRecords(&report, progress)
    return report
  }

  private func check(_ file: SnapshotFile) -> [String] {
    do {
      let database = try StoreDatabase(path: file.path, keyRing: keyRing)
      defer { database.close() }
      let connection = try Connection(path: database.name, configuration: .reader)
      let layouts = try connection.withDatabase { try StoreFormat.layouts(in: $0) }
      let last = try connection.withDatabase { try Int64.fetchOne($0, sql: "SELECT max(sequence) FROM journal") }
      try connection.close()
      let report = try Verification(path: database.name, tables: StoreTables(layouts)).run(nil, oldestLive: .min)
      guard last ?? 0 == file.sequence else {
        return report.problems + ["it ends with transaction \(last ?? 0), not \(file.sequence)"]
      }
      return report.problems
    } catch {
      return ["\(StoreRestore.archiveError(error, path: file.path))"]
    }
  }

  /// Damage is told also where a later segment makes up for it.
  private func check(_ file: SegmentFile) -> String? {
    do throws(ArchiveError) {
      guard var reader = try SegmentReader(file, of: folder, keyRing: keyRing) else {
        return file.isComplete ? "it is cut off" : nil
      }
      while try reader.next() != nil {}
      return file.isComplete && reader.ending != .complete ? "it is cut off" : nil
    } catch { return error.description }
  }

  private func checkRecords(_ report: inout ArchiveReport, _ progress: (String) -> Void) throws(ArchiveError) {
    let segments = try folder.segments()
    for file in segments {
      progress(file.path)
      report.segments += 1
      if let problem = check(file) { report.note(problem, at: file.path) }
    }
    guard let first = segments.first else { return }
    // Snapshots from before all records are kept for themselves.
    guard let base = try folder.snapshots().first(where: { $0.sequence + 1 >= first.first }) else {
      report.note("the first records, from \(first.first) on, follow no snapshot", at: folder.path)
      return
    }
    report.restorableFrom = base.takenAt
    do {
      let journal = try storeDirectory.map { try StoreJournal(directory: $0, keyRing: keyRing) }
      defer { journal?.close() }
      var reader = try ArchiveReader(
        folder, after: JournalPosition(sequence: base.sequence, committedAt: 0), keyRing: keyRing)
      try reader.forEach { record, _ in
        _ = try record.entries()
        report.transactions += 1
        report.through = record.committedAt
        if let known = try journal?.record(record.sequence), known.changes != record.changes {
          report.note(
            "transaction \(record.sequence) is another one in the store than in the archive", at: folder.path)
        }
        return true
      }
    } catch {
      report.note("\(StoreRestore.archiveError(error, path: folder.path))", at: folder.path)
    }
  }
}

/// The journal of a store that may be open elsewhere.
private final class StoreJournal {
  private let database: StoreDatabase
  private let connection: Connection
  private var select: SQLStatement?

  init(directory: String, keyRing: KeyRing) throws {
    database = try StoreDatabase(path: StoreDirectory.database(in: directory), keyRing: keyRing)
    connection = try Connection(path: database.name, configuration: .reader)
    select = try connection.prepare("SELECT sequence, committed, checksum, changes FROM journal WHERE sequence = ?")
  }

  func record(_ sequence: Int64) throws -> JournalRecord? {
    guard let select else { return nil }
    select.bind(sequence, at: 1)
    defer { select.reset() }
    return try select.step() ? JournalRecord(select) : nil
  }

  func close() {
    select = nil
    try? connection.close()
    database.close()
  }
}

/// What an archive holds, for a list: read from names, and from the ends of the journal's segments.
package struct ArchiveSummary: Sendable {
  package var folder: ArchiveFolder
  package var snapshots: [SnapshotFile]
  package var segments: [SegmentFile]
  /// When the last archived transaction committed; `nil` if there is none after the snapshots.
  package var through: Int64?

  package init(_ folder: ArchiveFolder, keyRing: KeyRing) throws(ArchiveError) {
    self.folder = folder
    snapshots = try folder.snapshots()
    segments = try folder.segments()
    let place = try ArchivePlace.find(in: folder, keyRing: keyRing)
    through = place.flatMap { $0.position.sequence > 0 ? $0.position.committedAt : nil }
  }

  /// The ids of the keys that something in the archive is encrypted under; these must stay in the ring.
  package func keysInUse(keyRing: KeyRing) throws(ArchiveError) -> Set<UInt32> {
    var ids: Set<UInt32> = []
    do {
      for file in snapshots {
        let database = try StoreDatabase(path: file.path, keyRing: keyRing)
        defer { database.close() }
        ids.formUnion(try database.encrypted().keysInUse(databaseAt: file.path).map(\.id))
      }
      for file in segments { ids.formUnion(try SealedFileReader(file.path, keyRing: keyRing).keysInUse()) }
    } catch let error as SealedFileError { throw .sealed(error) } catch {
      throw StoreRestore.archiveError(error, path: folder.path)
    }
    return ids
  }
}
