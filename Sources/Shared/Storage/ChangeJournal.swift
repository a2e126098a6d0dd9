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

  package var position: JournalPosition { JournalPosition(sequence: sequence, committedAt: committedAt) }

  /// One item as the transaction left it.
  package struct Change: Sendable, Hashable {
    /// The table's logical name.
    package var table: String
    package var key: ItemKey
    /// The whole item after the transaction; `nil` if it was deleted.
    package var image: Item?
    package var previous: Previous

    package init(table: String, key: ItemKey, image: Item?, previous: Previous) {
      self.table = table
      self.key = key
      self.image = image
      self.previous = previous
    }
  }

  /// What there was before a change.
  package enum Previous: Sendable, Hashable {
    /// Nothing, or an expired item: the transaction made this one.
    case absent
    /// An item; these of its attributes are new, gone or different now, in byte order.
    case differing([String])
    /// The item that is deleted, as it was last.
    case deleted(Item)
    /// It is not known: an earlier release wrote this, or the item was damaged.
    case unknown
  }
}

/// A place in a store's journal: after this transaction, before the next one.
///
/// The time tells two histories apart that share numbers, as a store and one that was restored from it do.
package struct JournalPosition: Sendable, Hashable {
  /// The last transaction before this place; 0 before the first.
  package var sequence: Int64
  /// When that committed, in microseconds since 1970; 0 before the first.
  package var committedAt: Int64

  package init(sequence: Int64, committedAt: Int64) {
    self.sequence = sequence
    self.committedAt = committedAt
  }

  /// Before the first transaction.
  package static let start = JournalPosition(sequence: 0, committedAt: 0)
}

/// Which changes a reader of the journal is interested in.
package struct ChangeFilter: Sendable, Hashable {
  /// Logical names of tables.
  package var tables: Set<String>
  /// Only items with this sort key, which of records is their clinician; `nil`: of any.
  package var sortKey: String?

  package init(tables: Set<String>, sortKey: String? = nil) {
    self.tables = tables
    self.sortKey = sortKey
  }

  package func admits(table: String, key: ItemKey) -> Bool {
    tables.contains(table) && (sortKey.map { key.sort.hasSameBytes(as: $0) } ?? true)
  }
}

/// A stretch of the journal, as far as a filter admits it.
package struct JournalPage: Sendable, Hashable {
  /// Those with changes that the filter admits, and of each these changes only, in the order of commits.
  package var transactions: [CommittedTransaction]
  /// How far the journal was read: whatever is admitted up to here was returned.
  package var through: JournalPosition
  /// Whether nothing came after `through` when it was read.
  package var reachesEnd: Bool

  package init(transactions: [CommittedTransaction], through: JournalPosition, reachesEnd: Bool) {
    self.transactions = transactions
    self.through = through
    self.reachesEnd = reachesEnd
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

  /// What `filter` admits of the transactions after a place. Looks at no more than `limit` of them (1…1000), at fewer
  /// where images are large, so that a page may be empty though ``JournalPage/reachesEnd`` is false.
  ///
  /// - Returns: `nil` if this journal does not go on from there: transactions after `position` were pruned, or it never
  ///   had that place (the store was restored to an earlier time).
  func changes(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int
  ) async throws(StoreError) -> JournalPage?

  /// The first transaction that is still kept and the last one that committed; `nil` in a store without history.
  func journalBounds() async throws(StoreError) -> ClosedRange<Int64>?

  /// Forgets transactions that committed before `time` (microseconds since 1970), at most `limit` (1…1000) of the
  /// oldest and never the newest of all, which holds the place in the sequence.
  ///
  /// - Returns: how many were forgotten; fewer than `limit` once none is left that is as old.
  @discardableResult
  func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int

  /// Where the journal ends now, and the news of each commit of this process.
  var commits: CommitSignal { get }
}

/// A table store with its journal.
package typealias JournaledStore = TableStore & ChangeJournal

/// A store whose expired items are deleted by the service that owns it (DynamoDB does it by itself).
package protocol ExpirySweeping: Sendable {
  /// Deletes at most `limit` (1…1000) expired items of all tables, as a transaction of its own, journal included.
  ///
  /// - Returns: how many were deleted; fewer than `limit` once none is left.
  @discardableResult
  func sweepExpired(limit: Int) async throws(StoreError) -> Int
}
