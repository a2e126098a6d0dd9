package import EncryptedStorage
package import Storage

extension EmbeddedStore {
  /// What a store is opened with.
  package struct Configuration: Sendable {
    /// Where the files are; made with mode 0700 if only its last component is missing.
    package var directory: String
    /// The environment of the tables' names, such as `production`; fixed when the store is made.
    package var environment: String
    package var tables: [TableSchema]
    package var clock: StoreClock = systemStoreClock
    /// Encrypts all files under the newest of these keys; `nil` leaves them in clear. A store is made one way or the other
    /// and stays so.
    package var keyRing: KeyRing?
    /// Where the store is archived, if it is: a snapshot is put there before the store is brought to a newer format.
    /// Without one it is put beside the store.
    package var backups: BackupDirectory?
    /// Transactions that may wait for the writer; one more is refused with ``StoreError/overloaded``.
    package var queuedTransactions = 4096
    /// Queries and batches that may wait for a reader thread.
    package var queuedReads = 4096
    /// Transactions that share one commit, at most.
    package var groupSize = 256
    package var readerThreads = 2
    /// Pages of 4 KiB in the WAL after which it is copied into the database.
    package var checkpointPages = 4096
    /// Bytes the database may grow to; `nil` leaves it to the disk. Reaching it is like a full disk.
    package var maximumBytes: Int?
    /// The SQLite VFS that reaches the disk; `nil`: SQLite's own. Replaced in tests.
    package var baseVFS: String?
    /// Called after each change of ``EmbeddedStore/status``, on a thread of the store; must return soon.
    package var onStatusChange: @Sendable (Status) -> Void = { _ in }

    package init(directory: String, environment: String, tables: [TableSchema]) {
      self.directory = directory
      self.environment = environment
      self.tables = tables
    }
  }

  /// Whether the store can be written. Reads go on in every state but ``closed``.
  package enum Status: Sendable, Hashable {
    case serving
    /// Writes fail for a cause that may pass (a full disk); the store tries again by itself.
    case suspended(String)
    /// A write or sync failed in a way after which the files' state is unknown. Final: the store must be opened anew,
    /// which recovers from what is really on the disk. A failed fsync is not retried, since the kernel may have dropped
    /// the pages and would then report success.
    case failed(String)
    case closed
  }
}
