internal import EncryptedStorage
internal import Storage

/// Copies the journal of an open store into its archive. To be used by one thread at a time; everything here blocks.
final class JournalShipper {
  private let folder: ArchiveFolder
  private let keyRing: KeyRing
  private let tables: [SegmentStart.Table]
  private let clock: StoreClock
  private let connection: Connection
  private var select: SQLStatement?
  private var segment: SegmentWriter?
  private var segmentBegan: Int64 = 0
  /// The place after the last record that is durable in the archive.
  private(set) var position: JournalPosition

  private static let recordsPerFrame: Int64 = 1000
  private static let bytesPerFrame = 4 << 20
  /// A segment is completed at this size or age, so that it can be deleted, and copied elsewhere, as a whole.
  private static let segmentBytes = 64 << 20
  private static let segmentMicroseconds: Int64 = 3_600_000_000

  /// - Parameter place: where the archive ends, and its open segment if there is one.
  init(
    _ folder: ArchiveFolder, database: StoreDatabase, tables: StoreTables, keyRing: KeyRing,
    clock: @escaping StoreClock,
    from place: ArchivePlace
  ) throws(ArchiveError) {
    self.folder = folder
    self.keyRing = keyRing
    self.tables = tables.catalog
    self.clock = clock
    position = place.position
    do {
      connection = try Connection(path: database.name, configuration: .reader)
      select = try connection.prepare(JournalRecord.select)
    } catch { throw .database(path: database.path, reason: SQLiteFailure(error).message) }
    segmentBegan = clock()
    if let (file, reader) = place.open {
      segment = try SegmentWriter(file, continuing: reader, keyRing: keyRing)
    }
  }

  /// Copies what has come since, a frame; false once nothing is left.
  ///
  /// - Throws: whatever failed; the segment is left as it is then, and the next call begins another one where the last
  ///   durable record was, since nobody knows what a failed write left.
  func shipFrame() throws(ArchiveError) -> Bool {
    let records = try read()
    guard !records.isEmpty else { return false }
    do throws(ArchiveError) {
      try current().append(records)
    } catch {
      segment = nil
      throw error
    }
    position = segment?.position ?? position
    try completeIfDue()
    return true
  }

  /// Completes the segment under way, if there is one.
  func complete() throws(ArchiveError) {
    defer { segment = nil }
    try segment?.finish()
  }

  func close() {
    select = nil
    try? connection.close()
  }

  private func current() throws(ArchiveError) -> SegmentWriter {
    if let segment { return segment }
    let start = SegmentStart(history: folder.history, position: position, tables: tables)
    let new = try SegmentWriter(in: folder, start: start, keyRing: keyRing)
    segment = new
    segmentBegan = clock()
    return new
  }

  private func completeIfDue() throws(ArchiveError) {
    guard let segment else { return }
    let isOld = abs(clock() - segmentBegan) >= Self.segmentMicroseconds
    if isOld || segment.size >= Self.segmentBytes { try complete() }
  }

  private func read() throws(ArchiveError) -> [JournalRecord] {
    guard let select else { return [] }
    var records: [JournalRecord] = []
    var bytes = 0
    do {
      select.bind(position.sequence + 1, at: 1)
      select.bind(Self.recordsPerFrame, at: 2)
      defer { select.reset() }
      while bytes < Self.bytesPerFrame, try select.step() {
        let record = JournalRecord(select)
        guard record.sequence == position.sequence + 1 + Int64(records.count) else {
          throw ArchiveError.gap(
            after: position.sequence, committedAt: position.committedAt, before: record.sequence, path: folder.path)
        }
        // Also proves that the record is what was written, before it is kept for years.
        _ = try record.entries()
        bytes += record.changes.count
        records.append(record)
      }
    } catch let error as ArchiveError { throw error } catch {
      let reason = (error as? StoreError).map { "\($0)" } ?? SQLiteFailure(error).message
      throw .database(path: folder.path, reason: "the journal cannot be read (\(reason))")
    }
    return records
  }
}

/// Where an archive ends, and what is there to go on with.
struct ArchivePlace {
  var position: JournalPosition
  /// The tables as the last segment numbers them; `nil` if there is no segment.
  var tables: [SegmentStart.Table]?
  /// The segment that reaches this place, if it is not complete.
  var open: (file: SegmentFile, reader: SegmentReader)?

  /// Reads the last segments of a history, and whole those that are not complete.
  ///
  /// - Returns: `nil` if there is none.
  static func find(in folder: ArchiveFolder, keyRing: KeyRing) throws(ArchiveError) -> ArchivePlace? {
    var place: ArchivePlace?
    for file in try folder.segments().reversed() {
      if let known = place, file.isComplete, file.first <= known.position.sequence { break }
      guard var reader = try SegmentReader(file, of: folder, keyRing: keyRing) else { continue }
      if file.isComplete, let end = try reader.statedEnd() {
        if place.map({ $0.position.sequence < end.sequence }) ?? true {
          place = ArchivePlace(position: end, tables: reader.start.tables)
        }
        continue
      }
      do throws(ArchiveError) { while try reader.next() != nil {} } catch .sealed(.damaged) {}
      if place.map({ $0.position.sequence < reader.position.sequence }) ?? true {
        place = ArchivePlace(
          position: reader.position, tables: reader.start.tables, open: file.isComplete ? nil : (file, reader))
      }
    }
    return place
  }
}
