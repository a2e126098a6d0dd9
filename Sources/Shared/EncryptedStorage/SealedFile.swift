internal import CEncryptedVFS
internal import Foundation

/// A file of encrypted frames that is only ever appended to, for what a store keeps outside SQLite.
///
/// Format, version 1: a header of 64 bytes in clear (magic, version, the file's random identity, zeros), then frames. A
/// frame is 16 bytes in clear (a kind, the body's length, zeros), the encrypted body, and a trailer of 48 bytes as a
/// page has it (`CEncryptedVFS.h`), so keys, nonces and their guarantees are those of pages. Each frame is bound to its
/// file, its offset, its kind and its length: one that was moved, altered or taken from elsewhere does not open. What
/// was cut off at the end of a file that has no end frame cannot be told from what was never written; who needs to know
/// numbers what the frames hold.
enum SealedFile {
  static let headerLength = 64
  static let frameHeaderLength = Int(CEV_SEALED_HEADER_LENGTH)
  static let trailerLength = Int(CEV_RESERVED_LENGTH)
  static let overhead = frameHeaderLength + trailerLength

  private static let magic = Array("CVstore seal\r\n".utf8)
  private static let version: UInt8 = 1

  static func header(identity: [UInt8]) -> [UInt8] {
    let head = magic + [0, version] + identity
    return head + [UInt8](repeating: 0, count: headerLength - head.count)
  }

  /// The identity in a header, or nil if it is none of this version.
  static func identity(in header: [UInt8]) -> [UInt8]? {
    guard header.count == headerLength, header.starts(with: magic + [0, version]) else { return nil }
    return Array(header[magic.count + 2..<magic.count + 2 + Int(CEV_SEALED_IDENTITY_LENGTH)])
  }

  static func frameHeader(kind: UInt8, length: Int) -> [UInt8] {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
    return [kind, 0, 0, 0] + bytes + [UInt8](repeating: 0, count: 8)
  }

  static func length(inFrameHeader header: [UInt8]) -> Int { header[4..<8].reduce(0) { $0 << 8 | Int($1) } }

  /// Bytes of a frame's body, at most.
  static let maximumBody = 64 << 20
}

/// What is wrong with a sealed file, in one sentence for the operator.
package enum SealedFileError: Error, Hashable, CustomStringConvertible {
  case file(path: String, reason: String)
  case notSealed(path: String)
  case unknownKey(id: UInt32, path: String)
  case wrongKey(id: UInt32, path: String)
  /// The frame at this offset is not what was written.
  case damaged(path: String, offset: Int)
  case cryptography(path: String)

  package var description: String {
    switch self {
    case .file(let path, let reason): "\(path): \(reason)."
    case .notSealed(let path): "\(path) is not a file of a store's archive."
    case .unknownKey(let id, let path): "\(path) is encrypted under key \(id), which is not in the key ring."
    case .wrongKey(let id, let path):
      "\(path) is encrypted under another key than the one that the key ring holds as key \(id)."
    case .damaged(let path, let offset): "\(path) does not authenticate at byte \(offset): it is damaged."
    case .cryptography(let path): "\(path): libcrypto or the random source failed."
    }
  }
}

/// The part of sealed files that is cryptography: one handle, one salt.
@safe final class SealedCipher {
  private let handle: OpaquePointer
  private let path: String

  init(keyRing: KeyRing, identity: [UInt8], path: String) throws(SealedFileError) {
    guard
      let handle = unsafe identity.withUnsafeBufferPointer({ unsafe cev_sealed_create(keyRing.handle, $0.baseAddress) })
    else { throw .cryptography(path: path) }
    unsafe self.handle = handle
    self.path = path
  }

  deinit { unsafe cev_sealed_destroy(handle) }

  static func randomIdentity(path: String) throws(SealedFileError) -> [UInt8] {
    var identity = [UInt8](repeating: 0, count: Int(CEV_SEALED_IDENTITY_LENGTH))
    let isRandom = unsafe identity.withUnsafeMutableBufferPointer { unsafe cev_random_bytes($0.baseAddress, $0.count) }
    guard isRandom else { throw .cryptography(path: path) }
    return identity
  }

  /// Encrypts `body` in place and returns its trailer.
  func seal(_ body: inout [UInt8], header: [UInt8], offset: Int) throws(SealedFileError) -> [UInt8] {
    var trailer = [UInt8](repeating: 0, count: SealedFile.trailerLength)
    let status = unsafe body.withUnsafeMutableBufferPointer { body in
      unsafe trailer.withUnsafeMutableBufferPointer { trailer in
        unsafe cev_sealed_seal(
          handle, UInt64(offset), header, body.baseAddress ?? trailer.baseAddress, Int32(body.count),
          trailer.baseAddress)
      }
    }
    guard status == CEV_SEALED_OK else { throw .cryptography(path: path) }
    return trailer
  }

  func open(_ body: inout [UInt8], header: [UInt8], trailer: [UInt8], offset: Int) throws(SealedFileError) {
    var empty: UInt8 = 0
    let status = unsafe body.withUnsafeMutableBufferPointer { body in
      unsafe withUnsafeMutablePointer(to: &empty) { empty in
        unsafe cev_sealed_open(handle, UInt64(offset), header, body.baseAddress ?? empty, Int32(body.count), trailer)
      }
    }
    switch status {
    case CEV_SEALED_OK: return
    case CEV_SEALED_UNKNOWN_KEY: throw .unknownKey(id: unsafe cev_sealed_key_id(trailer), path: path)
    case CEV_SEALED_WRONG_KEY: throw .wrongKey(id: unsafe cev_sealed_key_id(trailer), path: path)
    case CEV_SEALED_DAMAGED: throw .damaged(path: path, offset: offset)
    default: throw .cryptography(path: path)
    }
  }
}
