package import EncryptedStorage
internal import Foundation

extension EmbeddedStore {
  /// Encrypts what is not under the newest key anew while the store is in use, in steps that each survive a crash.
  ///
  /// - Parameter progress: called after each step, on a thread of the store; `false` interrupts.
  /// - Returns: the keys that are in use afterwards: only the newest.
  /// - Throws: ``EncryptedStorageError``; what was done stays done, and another call goes on from there. A failed write or
  ///   sync is as final for the store as one of its own.
  @discardableResult
  package func rekey(
    progress: @escaping @Sendable (EncryptedVFS.RekeyProgress) -> Bool = { _ in true }
  ) async throws(EncryptedStorageError) -> [EncryptedVFS.KeyUse] {
    let vfs = try database.encrypted()
    return try await Self.onThread { [path = database.path, health] () throws(EncryptedStorageError) in
      do throws(EncryptedStorageError) {
        return try vfs.rekey(databaseAt: path) { progress($0) && !health.hasFailed }
      } catch {
        if case .sqlite(let code) = error,
          case .stop(let reason) = SQLiteFailure(code: code, message: error.description).consequence
        {
          health.move(to: .failed(reason))
        }
        throw error
      }
    }
  }

  /// As ``rekey(progress:)``, for a store that this process has not opened; another may have it open, and goes on.
  ///
  /// A store that nobody has open is locked meanwhile, so nobody can open it with fewer keys. Where it is open, the
  /// process that has it must have said that it holds the newest key of `keyRing`.
  package static func rekey(
    directory path: String, keyRing: KeyRing,
    progress: @escaping @Sendable (EncryptedVFS.RekeyProgress) -> Bool = { _ in true }
  ) async throws(EmbeddedStoreError) -> [EncryptedVFS.KeyUse] {
    try await onThread { () throws(EmbeddedStoreError) in
      let lock = try lockForRekey(path, keys: keyRing.labels)
      defer { lock?.release() }
      do throws(EncryptedStorageError) {
        let database = try StoreDatabase(path: path + "/store.sqlite", keyRing: keyRing)
        defer { database.close() }
        return try database.encrypted().rekey(databaseAt: database.path, progress: progress)
      } catch { throw .keys(error) }
    }
  }

  /// Takes keys from where the store's first ones came from: those that are new, all or none. The last one encrypts what
  /// is written from then on.
  ///
  /// - Throws: ``KeyRingError`` where the keys cannot be read or do not fit, and nothing has changed.
  package func addKeys(from source: KeySource) async throws -> KeyRing.Merge {
    let keyRing = try database.encrypted().keyRing
    // A command may take its time.
    return try await Self.onThread { [self] () throws(any Error) in
      let found = try source.load()
      return try keyChange.withLock { _ in
        let merge = try keyRing.merge(found)
        try directory.publish(keys: keyRing.labels, history: history)
        return merge
      }
    }
  }

  /// The keys that something in the store's files is encrypted under. One that is not listed may leave the key ring, once
  /// no backup needs it.
  package func keysInUse() async throws(EncryptedStorageError) -> [EncryptedVFS.KeyUse] {
    let vfs = try database.encrypted()
    return try await Self.onThread { [path = database.path] () throws(EncryptedStorageError) in
      try vfs.keysInUse(databaseAt: path)
    }
  }
}

extension EmbeddedStore {
  /// `nil` if another process has the store open and holds the key.
  private static func lockForRekey(_ path: String, keys: [KeyRing.Label]) throws(EmbeddedStoreError) -> StoreDirectory?
  {
    // Taking the lock would make a store where there is none.
    guard FileManager.default.fileExists(atPath: path + "/store.sqlite") else {
      throw .notAStore(path: path, reason: "there is no store.sqlite")
    }
    do throws(EmbeddedStoreError) {
      return try StoreDirectory(path: path, keys: keys)
    } catch .inUse(_, let process) {
      guard let newest = keys.last, StoreDirectory.publishedKeys(path: path).contains(newest) else {
        throw .keyNotHeld(path: path, process: process, key: keys.last?.id ?? 0)
      }
      return nil
    }
  }

  /// All of these take as long as the file is large, or wait, so no cooperative thread runs them.
  private static func onThread<Value: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await withCheckedContinuation { answer in
      Thread.detachNewThread { answer.resume(returning: Result(catching: body)) }
    }
    return try result.get()
  }
}
