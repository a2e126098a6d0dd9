package import EncryptedStorage
internal import Foundation

extension EmbeddedStore {
  /// Encrypts what is not under the newest key anew while the store is in use, in steps that each survive a crash.
  ///
  /// - Parameter progress: called after each step, on a thread of the store; `false` interrupts.
  /// - Returns: the keys that are in use afterwards: only the newest.
  /// - Throws: ``EncryptedStorageError``; what was done stays done, and another call goes on from there.
  @discardableResult
  package func rekey(
    progress: @escaping @Sendable (EncryptedVFS.RekeyProgress) -> Bool = { _ in true }
  ) async throws(EncryptedStorageError) -> [EncryptedVFS.KeyUse] {
    let vfs = try database.encrypted()
    return try await onThread { [path = database.path] () throws(EncryptedStorageError) in
      try vfs.rekey(databaseAt: path, progress: progress)
    }
  }

  /// The keys that something in the store's files is encrypted under. One that is not listed may leave the key ring, once
  /// no backup needs it.
  package func keysInUse() async throws(EncryptedStorageError) -> [EncryptedVFS.KeyUse] {
    let vfs = try database.encrypted()
    return try await onThread { [path = database.path] () throws(EncryptedStorageError) in
      try vfs.keysInUse(databaseAt: path)
    }
  }

  /// Both take as long as the file is large, so no cooperative thread waits for them.
  private func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws(EncryptedStorageError) -> Value
  ) async throws(EncryptedStorageError) -> Value {
    let result: Result<Value, EncryptedStorageError> = await withCheckedContinuation { answer in
      Thread.detachNewThread { answer.resume(returning: Result(catching: body)) }
    }
    return try result.get()
  }
}
