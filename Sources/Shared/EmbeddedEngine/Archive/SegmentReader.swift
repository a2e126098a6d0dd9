internal import EncryptedStorage
internal import Storage

/// Reads a segment from its beginning: what it goes on from, then its records. To be used by one thread at a time.
struct SegmentReader {
  /// Why there is no next frame.
  enum Ending: Sendable, Hashable {
    /// The end frame: the segment is complete.
    case complete
    /// The file ends, in or behind a frame, without an end frame: its writer was cut off, or somebody cut the file.
    case cut
  }

  let file: SealedFileReader
  let start: SegmentStart
  /// The place after the last record that was read.
  private(set) var position: JournalPosition
  private(set) var ending: Ending?

  /// - Returns: `nil` for a segment whose writer was cut off before its first frame was whole.
  /// - Throws: ``SealedFileError/damaged(path:offset:)`` also for one that is not what its name and place say.
  init?(_ segment: SegmentFile, of folder: ArchiveFolder, keyRing: KeyRing) throws(ArchiveError) {
    do throws(SealedFileError) {
      file = try SealedFileReader(segment.path, keyRing: keyRing)
      guard let frame = try file.next() else { return nil }
      guard frame.kind == SegmentFrame.start, let start = try? SegmentStart(frame.body),
        start.history == folder.history, start.position.sequence + 1 == segment.first
      else { throw .damaged(path: segment.path, offset: 0) }
      self.start = start
      position = start.position
    } catch { throw .sealed(error) }
  }

  /// The next records, in order and without gaps; `nil` at the end, which ``ending`` tells of.
  ///
  /// - Throws: ``SealedFileError/damaged(path:offset:)`` for what is not what was written.
  mutating func next() throws(ArchiveError) -> [JournalRecord]? {
    guard ending == nil else { return nil }
    let offset = file.offset
    let damaged = ArchiveError.sealed(.damaged(path: file.path, offset: offset))
    let frame: SealedFileReader.Frame?
    do throws(SealedFileError) { frame = try file.next() } catch { throw .sealed(error) }
    switch frame?.kind {
    case nil:
      ending = .cut
      return nil
    case SegmentFrame.end:
      guard let frame, SegmentEnd.decode(frame.body) == position, (try? file.isAtEnd) == true else { throw damaged }
      ending = .complete
      return nil
    case SegmentFrame.records:
      guard let frame, let records = try? SegmentRecords.decode(frame.body), !records.isEmpty else { throw damaged }
      for record in records {
        guard record.sequence == position.sequence + 1, record.committedAt >= position.committedAt else {
          throw damaged
        }
        position = JournalPosition(sequence: record.sequence, committedAt: record.committedAt)
      }
      return records
    default: throw damaged
    }
  }

  /// Where a complete segment ends, without a look at its records; `nil` if it has no end frame.
  func statedEnd() throws(ArchiveError) -> JournalPosition? {
    do throws(SealedFileError) {
      guard let frame = try file.last(bodyLength: SegmentEnd.length), frame.kind == SegmentFrame.end else { return nil }
      return SegmentEnd.decode(frame.body)
    } catch .damaged { return nil } catch { throw .sealed(error) }
  }
}
