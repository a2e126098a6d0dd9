internal import CEncryptedVFS

/// A registered SQLite VFS that encrypts what it writes under one key ring.
///
/// Each store has its own, by a name that no other has, and a connection asks for it in its path
/// (``uri(databaseAt:)``); it is never the default VFS, so two stores in one process cannot take each other's keys and a plain
/// database stays plain. The format, what it protects and what it does not are described in `CEncryptedVFS.h`.
///
/// The registration lasts until ``unregister()`` or, if that is never called, as long as the process.
// @unchecked: the C object is immutable after registration but for its atomic count of open files.
@safe package final class EncryptedVFS: @unchecked Sendable {
  /// The name to SQLite.
  package let name: String
  package let keyRing: KeyRing
  private let handle: OpaquePointer

  /// Registers the ring under a name of its own.
  ///
  /// - Parameter base: the registered VFS that reaches the disk; `nil` is SQLite's own.
  package init(keyRing: KeyRing, over base: String? = nil) throws(EncryptedStorageError) {
    let name = "clinicavoice-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    var handle: OpaquePointer?
    let code = unsafe cev_vfs_register(name, base, keyRing.handle, &handle)
    guard code == SQLITE_OK, let handle = unsafe handle else { throw .sqlite(code: code) }
    self.name = name
    self.keyRing = keyRing
    unsafe self.handle = handle
  }

  /// Takes the name from SQLite and releases the ring. To be called once, after the last connection is closed.
  ///
  /// - Throws: with `SQLITE_BUSY` while a connection is open; nothing has happened then.
  package func unregister() throws(EncryptedStorageError) {
    let code = unsafe cev_vfs_unregister(handle)
    guard code == SQLITE_OK else { throw .sqlite(code: code) }
  }

  /// The path to give to SQLite or GRDB for the database at `path`.
  package func uri(databaseAt path: String) -> String { Self.uri(databaseAt: path, vfs: name) }

  /// The same for any registered VFS. https://www.sqlite.org/uri.html
  package static func uri(databaseAt path: String, vfs name: String) -> String {
    var escaped = ""
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "_"):
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        escaped += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return "file:\(path.hasPrefix("/") ? "//" : "")\(escaped)?vfs=\(name)"
  }

  /// Whether a connection's main database is encrypted by this or another VFS of ours.
  ///
  /// - Parameter connection: an open `sqlite3 *`.
  @safe package static func isEncrypted(connection: OpaquePointer) -> Bool { unsafe cev_is_encrypted(connection) }

  /// Lets a connection that writes many pages to the database, as a checkpoint does, rest for so long after each stretch
  /// of as much work: whoever else wants the processor gets it soon.
  ///
  /// - Parameters:
  ///   - duration: less than a second.
  ///   - connection: an open `sqlite3 *`.
  /// - Throws: with `SQLITE_MISUSE` for a connection that is not encrypted, or a longer duration.
  @safe package static func rest(
    for duration: Duration, betweenPagesOf connection: OpaquePointer?
  ) throws(EncryptedStorageError) {
    let nanoseconds = duration / .nanoseconds(1)
    let code = unsafe cev_rest_between_pages(connection, Int32(clamping: Int64(nanoseconds)))
    guard code == SQLITE_OK else { throw .sqlite(code: code) }
  }

  /// Looks at a database before it is opened, so that a wrong key is one clear error; absent and empty files are fine.
  ///
  /// Reads the key of every page (48 bytes of each), and decrypts nothing.
  package func check(databaseAt path: String) throws(EncryptedStorageError) {
    let found = unsafe cev_inspect(handle, path)
    switch found.state {
    case CEV_STATE_EMPTY: return
    case CEV_STATE_READABLE: break
    case CEV_STATE_NOT_ENCRYPTED: throw .notEncrypted(path: path)
    case CEV_STATE_NEWER_FORMAT: throw .newerFormat(path: path)
    case CEV_STATE_UNKNOWN_KEY: throw .unknownKey(id: found.key_id, path: path)
    case CEV_STATE_WRONG_KEY: throw .wrongKey(id: found.key_id, path: path)
    case CEV_STATE_UNREADABLE: throw .sqlite(code: found.code)
    default: throw .notADatabase(path: path)
    }
    for use in try keysInUse(databaseAt: path) where unsafe !cev_ring_contains(keyRing.handle, use.id) {
      throw .unknownKey(id: use.id, path: path)
    }
  }

  /// The keys that something in the database or its WAL is encrypted under, by id. Works on a store in use.
  ///
  /// A key that is not listed is needed no more by this store (its backups may need it).
  package func keysInUse(databaseAt path: String) throws(EncryptedStorageError) -> [KeyUse] {
    var uses = [CEVKeyUse](repeating: CEVKeyUse(), count: KeyRing.maximumCount)
    var count: Int32 = 0
    let code = unsafe cev_keys_in_use(handle, path, &uses, &count)
    guard code == SQLITE_OK else {
      throw code == SQLITE_NOTADB ? .notADatabase(path: path) : .sqlite(code: code)
    }
    return uses.prefix(Int(count)).map { KeyUse(id: $0.id, pages: $0.pages, frames: $0.frames) }
      .sorted { $0.id < $1.id }
  }

  /// How much is encrypted under a key.
  package struct KeyUse: Sendable, Hashable {
    package var id: UInt32
    /// Pages of the database file.
    package var pages: UInt64
    /// Frames in the WAL file, those that SQLite has checkpointed and not yet overwritten included.
    package var frames: UInt64
  }
}

/// What is wrong with an encrypted store or its keys, in one sentence for whoever operates it.
package enum EncryptedStorageError: Error, Hashable, CustomStringConvertible {
  case unknownKey(id: UInt32, path: String)
  case wrongKey(id: UInt32, path: String)
  case notEncrypted(path: String)
  case notADatabase(path: String)
  case newerFormat(path: String)
  /// A page does not authenticate.
  case damaged(path: String)
  /// A rekey was told to stop.
  case interrupted
  /// Others kept using the database in a way that held the operation up.
  case busy(path: String)
  /// SQLite's extended result code.
  case sqlite(code: Int32)

  package var description: String {
    switch self {
    case .unknownKey(let id, let path): "\(path) is encrypted under key \(id), which is not in the key ring."
    case .wrongKey(let id, let path):
      "\(path) is encrypted under another key than the one that the key ring holds as key \(id)."
    case .notEncrypted(let path): "\(path) is a plain SQLite database, not an encrypted store."
    case .notADatabase(let path): "\(path) is not an encrypted store, or both copies of its header are damaged."
    case .newerFormat(let path): "\(path) was encrypted by a newer version of this software."
    case .damaged(let path): "A page of \(path) does not authenticate: it is damaged."
    case .interrupted: "The rekey was interrupted; what it has done stays done."
    case .busy(let path): "\(path) was in use for too long; try again."
    case .sqlite(let code): "SQLite answered \(code), \(unsafe String(cString: sqlite3_errstr(code)))."
    }
  }
}
