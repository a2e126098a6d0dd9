/// The tables of one service: DynamoDB's semantics on whatever engine keeps them.
///
/// All reads of base items are strongly consistent. Nothing is visible before its transaction is durable.
package protocol TableStore: Sendable {
  /// The item with this key, or `nil`. An item whose time to live has passed is `nil`.
  func get(_ key: ItemKey, from table: TableSchema) async throws(StoreError) -> Item?

  /// The items that exist among `keys` (at most 100, no duplicates), in the order of `keys`.
  func batchGet(_ keys: [ItemKey], from table: TableSchema) async throws(StoreError) -> [Item]

  /// One page of an index, or of the items that share a partition key.
  ///
  /// A page ends at the query's limit or at ``StoreLimits/pageBytes``, whichever comes first, so that only
  /// ``Page/next`` says whether there is more. Expired items are left out.
  func query(_ query: Query) async throws(StoreError) -> Page

  /// Applies all writes, or none: atomic, isolated, durable when it returns.
  ///
  /// At most 100 writes over the tables of one service; no key twice; at most ``StoreLimits/transactionBytes`` in all.
  /// Conditions are decided on the state before the transaction. To a condition an expired item is absent, swept or
  /// not; deleting an absent item succeeds if its condition holds for no item.
  ///
  /// - Throws: ``StoreError/conditionFailed(_:)`` with the places of the writes whose condition did not hold,
  ///   ``StoreError/conflict`` when another transaction was faster (the engine has retried a little already),
  ///   ``StoreError/itemTooLarge(index:)``.
  func transact(_ writes: [Write]) async throws(StoreError)
}

/// One write of a transaction.
package struct Write: Sendable, Hashable {
  package enum Action: Sendable, Hashable {
    /// Creates or replaces the whole item.
    case put(Item)
    case delete(ItemKey)
    /// Writes nothing; the transaction fails if the condition does not hold.
    case check(ItemKey)
  }

  package var table: TableSchema
  package var action: Action
  package var condition: Condition?

  package init(_ action: Action, in table: TableSchema, if condition: Condition? = nil) {
    self.table = table
    self.action = action
    self.condition = condition
  }

  package static func put(_ item: Item, in table: TableSchema, if condition: Condition? = nil) -> Write {
    Write(.put(item), in: table, if: condition)
  }
  package static func delete(_ key: ItemKey, in table: TableSchema, if condition: Condition? = nil) -> Write {
    Write(.delete(key), in: table, if: condition)
  }
  package static func check(_ key: ItemKey, in table: TableSchema, if condition: Condition) -> Write {
    Write(.check(key), in: table, if: condition)
  }
}

/// Reads one partition of a table or of an index, in the order of its sort key.
package struct Query: Sendable, Hashable {
  /// What the sort key must satisfy. Strings compare by their UTF-8 bytes; bounds are inclusive.
  package enum SortKey: Sendable, Hashable {
    case any
    case equals(String)
    case beginsWith(String)
    case between(String, String)
    case atLeast(String)
    case atMost(String)
  }

  package var table: TableSchema
  /// The index to read; `nil` reads the table by its own key.
  package var index: String?
  package var partition: String
  package var sortKey: SortKey
  package var ascending: Bool
  /// The most items of one page, 1…1000.
  package var limit: Int
  /// Continue after this place, as a page before gave it.
  package var exclusiveStart: Cursor?

  package init(
    _ table: TableSchema, index: String? = nil, partition: String, sortKey: SortKey = .any, ascending: Bool = true,
    limit: Int = 100, exclusiveStart: Cursor? = nil
  ) {
    self.table = table
    self.index = index
    self.partition = partition
    self.sortKey = sortKey
    self.ascending = ascending
    self.limit = limit
    self.exclusiveStart = exclusiveStart
  }

  /// A place in an index: the sort key there and the item's own key (which breaks ties, in byte order).
  package struct Cursor: Sendable, Hashable {
    package var sortKey: String
    package var item: ItemKey

    package init(sortKey: String, item: ItemKey) {
      self.sortKey = sortKey
      self.item = item
    }
  }
}

package struct Page: Sendable, Hashable {
  package var items: [Item]
  /// Where the next page starts; `nil` when there is nothing more.
  package var next: Query.Cursor?

  package init(items: [Item], next: Query.Cursor?) {
    self.items = items
    self.next = next
  }
}

package enum StoreError: Error, Sendable, Hashable {
  /// The places in the transaction of the writes whose condition did not hold.
  case conditionFailed([Int])
  /// Another transaction touched the same items; the whole read-modify-write may be repeated.
  case conflict
  /// The write at this place would make an item of more than 400 KiB.
  case itemTooLarge(index: Int)
  /// More work is queued than the store accepts.
  case overloaded
  /// Not now: closed, disk full, throttled. The text holds no data.
  case unavailable(String)
  /// What was read is not what was written. The text holds no data.
  case corrupt(String)
  /// The request breaks a rule of the model (a bug of ours).
  case invalidRequest(String)
}

/// Bounds of the model, equal to DynamoDB's where it has one.
package enum StoreLimits {
  /// Bytes of one item (400 KiB), counted by `Item.byteCount`.
  package static let itemBytes = 400 * 1024
  package static let transactionWrites = 100
  package static let batchGetKeys = 100
  package static let queryItems = 1000
  /// Bytes of items after which a page ends (1 MiB); the item that crosses it is the page's last.
  package static let pageBytes = 1024 * 1024
  /// Bytes of all items put by one transaction (4 MiB).
  package static let transactionBytes = 4 * 1024 * 1024
  /// UTF-8 bytes of a partition key and of a sort key, of a table or an index; neither may be empty.
  package static let partitionKeyBytes = 2048
  package static let sortKeyBytes = 1024
  /// Containers within containers of an attribute's value.
  package static let nesting = 32
}
