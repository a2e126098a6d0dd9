internal import EncryptedStorage
internal import Storage

/// Walks over the records of a history from a place on, through all its segments.
///
/// Segments may overlap: a writer that could not be sure what had reached the disk began a new one where it was sure.
/// A segment that was cut off, or is damaged, is no fault as long as the next one begins before the break.
struct ArchiveReader {
  private let folder: ArchiveFolder
  private let keyRing: KeyRing
  private var segments: ArraySlice<SegmentFile>
  /// The place after the last record that was handed out.
  private(set) var position: JournalPosition

  init(_ folder: ArchiveFolder, after position: JournalPosition, keyRing: KeyRing) throws(ArchiveError) {
    self.folder = folder
    self.keyRing = keyRing
    self.position = position
    let all = try folder.segments()
    // The last that begins at or before the next record, and whatever begins with it: an earlier one may reach further.
    let first = all.lastIndex { $0.first <= position.sequence + 1 }.map { all[$0].first } ?? 0
    segments = all.drop { $0.first < first }
  }

  /// Hands records out in order, each sequence once, with what their segment says of itself, as long as `body` returns
  /// true. Returns at the archive's end.
  ///
  /// - Throws: ``ArchiveError/gap(after:before:path:)`` where records are missing or damaged and nothing replaces them.
  mutating func forEach(_ body: (JournalRecord, SegmentStart) throws -> Bool) throws {
    while let file = segments.popFirst() {
      guard file.first <= position.sequence + 1 else {
        throw gap(before: file.first)
      }
      guard try read(file, body) else { return }
    }
  }

  /// False if `body` had enough.
  private mutating func read(_ file: SegmentFile, _ body: (JournalRecord, SegmentStart) throws -> Bool) throws -> Bool {
    do {
      guard var reader = try SegmentReader(file, of: folder, keyRing: keyRing) else { return try settleBreak() }
      while let records = try reader.next() {
        for record in records where record.sequence > position.sequence {
          guard try body(record, reader.start) else { return false }
          position = JournalPosition(sequence: record.sequence, committedAt: record.committedAt)
        }
      }
      return reader.ending == .complete || !file.isComplete ? true : try settleBreak()
    } catch ArchiveError.sealed(.damaged) {
      return try settleBreak()
    }
  }

  /// A break is healed by a later segment that begins before it.
  private func settleBreak() throws -> Bool {
    if segments.contains(where: { $0.first <= position.sequence + 1 }) { return true }
    throw gap(before: segments.first?.first)
  }

  private func gap(before: Int64?) -> ArchiveError {
    .gap(after: position.sequence, committedAt: position.committedAt, before: before, path: folder.path)
  }
}
