internal import CEncryptedVFS
internal import Foundation

/// Reads the frames of a sealed file from its beginning. To be used by one thread at a time; everything here blocks.
package final class SealedFileReader {
  package struct Frame: Sendable, Hashable {
    package var kind: UInt8
    package var body: [UInt8]
  }

  package let path: String
  private let descriptor: Int32
  private let cipher: SealedCipher
  let identity: [UInt8]
  /// Bytes of the file when it was opened.
  package let size: Int
  /// Where the next frame begins: what lies before has been read and is what was written.
  package private(set) var offset = SealedFile.headerLength

  package init(_ path: String, keyRing: KeyRing) throws(SealedFileError) {
    self.path = path
    descriptor = unsafe Foundation.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, reason: SystemError.text()) }
    do throws(SealedFileError) {
      let end = lseek(descriptor, 0, SEEK_END)
      guard end >= 0 else { throw .file(path: path, reason: SystemError.text()) }
      size = Int(end)
      guard size >= SealedFile.headerLength else { throw .notSealed(path: path) }
      let header = try Self.read(descriptor, SealedFile.headerLength, at: 0, path)
      guard let identity = SealedFile.identity(in: header) else { throw .notSealed(path: path) }
      self.identity = identity
      cipher = try SealedCipher(keyRing: keyRing, identity: identity, path: path)
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  /// Whether less than a whole frame is left.
  package var isAtEnd: Bool { get throws(SealedFileError) { try nextLength() == nil } }

  /// The next frame; `nil` where the file ends, or holds only the beginning of a frame.
  ///
  /// - Throws: ``SealedFileError/damaged(path:offset:)`` for a frame that is not what was written; the reader stays there.
  package func next() throws(SealedFileError) -> Frame? {
    guard let length = try nextLength() else { return nil }
    let bytes = try Self.read(descriptor, SealedFile.overhead + length, at: offset, path)
    let header = Array(bytes.prefix(SealedFile.frameHeaderLength))
    var body = Array(bytes[SealedFile.frameHeaderLength..<SealedFile.frameHeaderLength + length])
    try cipher.open(&body, header: header, trailer: Array(bytes.suffix(SealedFile.trailerLength)), offset: offset)
    offset += bytes.count
    return Frame(kind: header[0], body: body)
  }

  /// The last frame, if it is one of this body length; read without those before it.
  package func last(bodyLength: Int) throws(SealedFileError) -> Frame? {
    let before = offset
    defer { offset = before }
    let start = size - SealedFile.overhead - bodyLength
    guard start >= SealedFile.headerLength else { return nil }
    offset = start
    guard try nextLength() == bodyLength else { return nil }
    return try next()
  }

  /// The ids of the keys that frames are under, as far as the file is whole; decrypts nothing.
  package func keysInUse() throws(SealedFileError) -> Set<UInt32> {
    let before = offset
    defer { offset = before }
    offset = SealedFile.headerLength
    var ids: Set<UInt32> = []
    while let length = try nextLength() {
      let at = offset + SealedFile.frameHeaderLength + length
      ids.insert(unsafe cev_sealed_key_id(try Self.read(descriptor, SealedFile.trailerLength, at: at, path)))
      offset += SealedFile.overhead + length
    }
    return ids
  }

  private func nextLength() throws(SealedFileError) -> Int? {
    guard size - offset >= SealedFile.overhead else { return nil }
    let header = try Self.read(descriptor, SealedFile.frameHeaderLength, at: offset, path)
    let length = SealedFile.length(inFrameHeader: header)
    guard length <= SealedFile.maximumBody else { throw .damaged(path: path, offset: offset) }
    return size - offset >= SealedFile.overhead + length ? length : nil
  }

  private static func read(
    _ descriptor: Int32, _ count: Int, at offset: Int, _ path: String
  ) throws(SealedFileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = unsafe bytes.withUnsafeMutableBytes { bytes in
        unsafe pread(descriptor, bytes.baseAddress.map { unsafe $0 + done }, count - done, off_t(offset + done))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .file(path: path, reason: SystemError.text()) }
      guard got > 0 else { throw .damaged(path: path, offset: offset) }
      done += got
    }
    return bytes
  }
}
