internal import EncryptedStorage
internal import Storage

/// Writes the segment of an archive that records are added to. To be used by one thread at a time.
final class SegmentWriter {
  private let file: SegmentFile
  private let sealed: SealedFileWriter
  /// The place after the last record that is durable.
  private(set) var position: JournalPosition

  /// Begins a segment that goes on from a place; its name is durable when this returns.
  init(in folder: ArchiveFolder, start: SegmentStart, keyRing: KeyRing) throws(ArchiveError) {
    file = SegmentFile(folder: folder.journalFolder, first: start.position.sequence + 1)
    position = start.position
    do {
      sealed = try SealedFileWriter(creating: file.path, keyRing: keyRing)
      try sealed.append(start.bytes, kind: SegmentFrame.start)
      try sealed.sync()
      try FileList.sync(folder.journalFolder)
    } catch {
      // Where the disk is full this is tried again and again; nothing of it may pile up.
      try? FileList.delete(file.path)
      throw (error as? SealedFileError).map { .sealed($0) } ?? .file(path: file.path, reason: "\(error)")
    }
  }

  /// Goes on with a segment whose writer was cut off, behind the last record that `reader` has read.
  init(_ file: SegmentFile, continuing reader: SegmentReader, keyRing: KeyRing) throws(ArchiveError) {
    self.file = file
    position = reader.position
    do throws(SealedFileError) {
      sealed = try SealedFileWriter(continuing: reader.file, keyRing: keyRing)
    } catch { throw .sealed(error) }
  }

  /// Bytes written.
  var size: Int { sealed.offset }

  /// Appends records that follow ``position`` and makes them durable. After a failure this writer must not be used on.
  func append(_ records: [JournalRecord]) throws(ArchiveError) {
    guard let last = records.last else { return }
    do throws(SealedFileError) {
      try sealed.append(SegmentRecords.encode(records), kind: SegmentFrame.records)
      try sealed.sync()
    } catch { throw .sealed(error) }
    position = JournalPosition(sequence: last.sequence, committedAt: last.committedAt)
  }

  /// Completes the segment, which is not written on afterwards.
  func finish() throws(ArchiveError) {
    do throws(SealedFileError) {
      try sealed.append(SegmentEnd.encode(position), kind: SegmentFrame.end)
      try sealed.sync()
    } catch { throw .sealed(error) }
    try FileList.rename(file.path, to: file.completePath)
  }
}
