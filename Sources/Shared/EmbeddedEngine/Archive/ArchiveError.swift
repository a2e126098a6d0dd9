package import EncryptedStorage

/// Why an archive cannot be written or read: each case is one sentence for the operator. No item is ever named.
package enum ArchiveError: Error, Sendable, Hashable {
  /// A directory or file of the archive cannot be made, read or written.
  case file(path: String, reason: String)
  case sealed(SealedFileError)
  case keys(EncryptedStorageError)
  case store(EmbeddedStoreError)
  /// The database refused; the text names files and columns, never values.
  case database(path: String, reason: String)
  /// Archives hold patients' data: they are made of encrypted stores only.
  case notEncrypted(path: String)
  /// Another process writes this archive.
  case inUse(path: String)
  /// The directory holds no archive.
  case nothing(path: String)
  /// No state as old as this can be restored; the oldest that can, in microseconds since 1970.
  case tooOld(oldest: Int64)
  case unknownHistory(name: String, path: String)
  /// Transactions between these two numbers are nowhere in the archive; the time of the last one before the gap.
  case gap(after: Int64, committedAt: Int64, before: Int64?, path: String)
  /// The records were written with other tables than the snapshot has.
  case otherTables(path: String)
  case destinationExists(path: String)
  case interrupted
}

extension ArchiveError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .file(let path, let reason): "\(path): \(reason)."
    case .sealed(let error): error.description
    case .keys(let error): error.description
    case .store(let error): error.description
    case .database(let path, let reason): "\(path): \(reason)."
    case .notEncrypted(let path): "The store in \(path) is not encrypted; only encrypted stores have backups."
    case .inUse(let path): "Another process writes the archive \(path)."
    case .nothing(let path): "There is no backup in \(path)."
    case .tooOld: "No backup is as old as that."
    case .unknownHistory(let name, let path): "There is no history \(name) in \(path)."
    case .gap(let after, _, let before?, let path):
      "The archive \(path) lacks the transactions between \(after) and \(before), or they are damaged."
    case .gap(let after, _, nil, let path): "The archive \(path) is damaged after transaction \(after)."
    case .otherTables(let path):
      "The records in \(path) were written with other tables than the snapshot before them."
    case .destinationExists(let path): "\(path) exists; a restore makes a new directory and never overwrites."
    case .interrupted: "Interrupted; nothing was left behind."
    }
  }
}
