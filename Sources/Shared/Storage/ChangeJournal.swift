/// What a transaction did, as the store's change journal keeps it: the source of feeds and of recovery.
package struct CommittedTransaction: Sendable, Hashable {
  /// Its place in the order of commits, from 1, without gaps.
  package var sequence: Int64
  /// When it committed, in microseconds since 1970. Never less than that of the transaction before it.
  package var committedAt: Int64
  package var changes: [Change]

  package init(sequence: Int64, committedAt: Int64, changes: [Change]) {
    self.sequence = sequence
    self.committedAt = committedAt
    self.changes = changes
  }

  /// One item as the transaction left it.
  package struct Change: Sendable, Hashable {
    /// The table's logical name.
    package var table: String
    package var key: ItemKey
    /// The whole item after the transaction; `nil` if it was deleted.
    package var image: Item?

    package init(table: String, key: ItemKey, image: Item?) {
      self.table = table
      self.key = key
      self.image = image
    }
  }
}

/// A store that remembers every committed transaction, written with it, for a time.
package protocol ChangeJournal: Sendable {
  /// Transactions after `sequence` in the order of commits: at most `limit` (1…1000), fewer where images are large.
  ///
  /// Transactions that wrote nothing (checks, deletions of absent items) are not in it. The result is empty only when
  /// there is nothing after `sequence`.
  ///
  /// - Throws: ``StoreError/invalidRequest(_:)`` if transactions after `sequence` were pruned already.
  func changes(after sequence: Int64, limit: Int) async throws(StoreError) -> [CommittedTransaction]

  /// The first transaction that is still kept and the last one that committed; `nil` in a store without history.
  func journalBounds() async throws(StoreError) -> ClosedRange<Int64>?

  /// Forgets transactions that committed before `time` (microseconds since 1970), at most `limit` (1…1000) of the
  /// oldest and never the newest of all, which holds the place in the sequence.
  ///
  /// - Returns: how many were forgotten; fewer than `limit` once none is left that is as old.
  @discardableResult
  func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int
}

/// A store whose expired items are deleted by the service that owns it (DynamoDB does it by itself).
package protocol ExpirySweeping: Sendable {
  /// Deletes at most `limit` (1…1000) expired items of all tables, as a transaction of its own, journal included.
  ///
  /// - Returns: how many were deleted; fewer than `limit` once none is left.
  @discardableResult
  func sweepExpired(limit: Int) async throws(StoreError) -> Int
}
