internal import EncryptedStorage
internal import Foundation

extension EmbeddedStore {
  /// Takes the archive of this store, or begins it, which takes a snapshot and so as long as the store is large.
  ///
  /// - Throws: ``ArchiveError/notEncrypted(path:)`` for a store without keys.
  package func archive(_ configuration: StoreArchive.Configuration) async throws(ArchiveError) -> StoreArchive {
    guard let keyRing = database.keyRing else { throw .notEncrypted(path: database.path) }
    let (database, history, tables, commits) = (database, history, tables, commits)
    let result: Result<StoreArchive, ArchiveError> = await withCheckedContinuation { answer in
      Thread.detachNewThread {
        answer.resume(
          returning: Result { () throws(ArchiveError) in
            try StoreArchive(
              database: database, history: history, tables: tables, commits: commits, keyRing: keyRing,
              configuration: configuration)
          })
      }
    }
    return try result.get()
  }
}
