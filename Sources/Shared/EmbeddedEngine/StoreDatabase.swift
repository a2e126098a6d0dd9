internal import EncryptedStorage
internal import Storage

/// The database file and how SQLite is asked for it: by its path, or through the encrypting VFS of this store.
struct StoreDatabase: Sendable {
  let path: String
  /// What SQLite opens.
  let name: String
  private let vfs: EncryptedVFS?
  private let base: String?

  /// Looks at the file's keys first, so that a wrong one is a clear error.
  init(path: String, keyRing: KeyRing?, over base: String? = nil) throws(EncryptedStorageError) {
    self.path = path
    self.base = base
    guard let keyRing else {
      (name, vfs) = (base.map { EncryptedVFS.uri(databaseAt: path, vfs: $0) } ?? path, nil)
      return
    }
    let vfs = try EncryptedVFS(keyRing: keyRing, over: base)
    do throws(EncryptedStorageError) {
      try vfs.check(databaseAt: path)
    } catch {
      try? vfs.unregister()
      throw error
    }
    (name, self.vfs) = (vfs.uri(databaseAt: path), vfs)
  }

  /// Makes durable what a WAL was left with. Only for who has the store's lock, and before the first connection.
  func makeWALDurable() throws(EncryptedStorageError) { try WriteAheadLog.writeAgain(databaseAt: path, over: base) }

  /// The keys of the files; `nil` if they are in clear.
  var keyRing: KeyRing? { vfs?.keyRing }

  /// What SQLite opens for another database beside this one, under the same keys.
  func name(of path: String) -> String { vfs?.uri(databaseAt: path) ?? path }

  /// To be called once, when every connection is closed; a VFS that is still in use stays registered.
  func close() { try? vfs?.unregister() }

  func encrypted() throws(EncryptedStorageError) -> EncryptedVFS {
    guard let vfs else { throw .notEncrypted(path: path) }
    return vfs
  }
}
