internal import Foundation

/// Appends frames to a sealed file. To be used by one thread at a time; everything here blocks.
package final class SealedFileWriter {
  package let path: String
  private let descriptor: Int32
  private let cipher: SealedCipher
  /// Where the next frame goes.
  package private(set) var offset: Int

  /// Makes a new file with mode 0600; its content is durable after ``sync()``, its name is the caller's affair.
  package init(creating path: String, keyRing: KeyRing) throws(SealedFileError) {
    self.path = path
    let identity = try SealedCipher.randomIdentity(path: path)
    cipher = try SealedCipher(keyRing: keyRing, identity: identity, path: path)
    descriptor = unsafe Foundation.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(path: path, reason: SystemError.text()) }
    offset = 0
    try write(SealedFile.header(identity: identity))
  }

  /// Goes on behind the frames that `reader` has read, and cuts off what follows them: a frame that was never whole.
  package init(continuing reader: SealedFileReader, keyRing: KeyRing) throws(SealedFileError) {
    path = reader.path
    cipher = try SealedCipher(keyRing: keyRing, identity: reader.identity, path: path)
    descriptor = unsafe Foundation.open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, reason: SystemError.text()) }
    offset = reader.offset
    guard ftruncate(descriptor, off_t(offset)) == 0 else { throw .file(path: path, reason: SystemError.text()) }
  }

  deinit { close(descriptor) }

  /// Appends a frame. A frame that failed is cut off again, so that the next one has its place.
  package func append(_ body: [UInt8], kind: UInt8) throws(SealedFileError) {
    guard body.count <= SealedFile.maximumBody else { throw .file(path: path, reason: "the frame is too large") }
    let header = SealedFile.frameHeader(kind: kind, length: body.count)
    var body = body
    let trailer = try cipher.seal(&body, header: header, offset: offset)
    do { try write(header + body + trailer) } catch {
      ftruncate(descriptor, off_t(offset))
      throw error
    }
  }

  /// Makes what was appended durable. After a failure nobody knows what is on the disk: the writer must not be used on.
  package func sync() throws(SealedFileError) {
    guard fdatasync(descriptor) == 0 else { throw .file(path: path, reason: SystemError.text()) }
  }

  private func write(_ bytes: [UInt8]) throws(SealedFileError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { bytes in
        unsafe pwrite(descriptor, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done, off_t(offset + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .file(path: path, reason: SystemError.text()) }
      done += count
    }
    offset += bytes.count
  }
}

/// What the system says of the last failure.
enum SystemError {
  static func text(_ code: Int32 = errno) -> String { unsafe String(cString: strerror(code)) }
}
