package import EncryptedStorage

/// Why a store cannot be opened: each case is one sentence for the operator. No item is ever named.
package enum EmbeddedStoreError: Error, Sendable, Hashable {
  /// The directory cannot be made, entered or written.
  case directory(path: String, reason: String)
  /// Others may write into the directory.
  case directoryTooOpen(path: String, mode: UInt16)
  /// Another process has the store open; its id if it said so.
  case inUse(path: String, process: Int32?)
  /// The files were written by a newer release.
  case newerFormat(path: String, found: Int, supported: Int)
  /// A store was here, and its database is gone or empty.
  case missing(path: String)
  /// The files are not a store of ours.
  case notAStore(path: String, reason: String)
  /// The store belongs to another environment.
  case otherEnvironment(path: String, found: String, expected: String)
  /// The key attributes of a table differ from those it was made with.
  case tableChanged(table: String)
  /// The files are not encrypted under the keys that were given.
  case keys(EncryptedStorageError)
  /// The process that has the store open could not read what is encrypted under the newest key.
  case keyNotHeld(path: String, process: Int32?, key: UInt32)
  /// SQLite refused; the store was not changed by this.
  case failed(path: String, reason: String)
}

extension EmbeddedStoreError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .directory(let path, let reason):
      "The data directory \(path) cannot be used: \(reason)."
    case .directoryTooOpen(let path, let mode):
      "The data directory \(path) may be written by others (mode \(String(mode, radix: 8))); make it 0700."
    case .inUse(let path, let process?):
      "The store in \(path) is open in process \(process); only one process may open a store."
    case .inUse(let path, nil):
      "The store in \(path) is open in another process; only one process may open a store."
    case .newerFormat(let path, let found, let supported):
      "The store in \(path) has format \(found), this release knows formats up to \(supported); use a newer release."
    case .missing(let path):
      "The store in \(path) has lost its store.sqlite: restore it from a backup, or delete store.lock to begin anew."
    case .notAStore(let path, let reason):
      "The files in \(path) are not a store of this service: \(reason)."
    case .otherEnvironment(let path, let found, let expected):
      "The store in \(path) belongs to environment \(found), not \(expected)."
    case .tableChanged(let table):
      "Table \(table) was made with other key attributes; its items cannot be read with these."
    case .keys(let error): error.description
    case .keyNotHeld(let path, let process, let key):
      """
      The store in \(path) is open in process \(process.map { "\($0)" } ?? "(unknown)"), which does not hold this key \(key); \
      add the key to those of the service, send it SIGHUP, and try again.
      """
    case .failed(let path, let reason):
      "The store in \(path) cannot be opened: \(reason)."
    }
  }
}
