/// The rules of the model that every engine checks before it touches anything, so that what one refuses all refuse.
package enum StoreRules {
  /// Checks a transaction and returns the key of each write, in order.
  ///
  /// - Throws: ``StoreError/invalidRequest(_:)`` or ``StoreError/itemTooLarge(index:)``.
  package static func keys(of writes: [Write]) throws(StoreError) -> [ItemKey] {
    guard !writes.isEmpty else { throw .invalidRequest("a transaction needs at least one write") }
    guard writes.count <= StoreLimits.transactionWrites else {
      throw .invalidRequest("\(writes.count) writes; at most \(StoreLimits.transactionWrites) are allowed")
    }
    var keys: [ItemKey] = []
    keys.reserveCapacity(writes.count)
    var bytes = 0
    for (index, write) in writes.enumerated() {
      keys.append(try key(of: write))
      guard case .put(let item) = write.action else { continue }
      bytes += try size(of: item, in: write.table, at: index)
    }
    guard bytes <= StoreLimits.transactionBytes else {
      throw .invalidRequest("\(bytes) bytes in one transaction; at most \(StoreLimits.transactionBytes) are allowed")
    }
    guard writes.count == 1 || isUnique(writes, keys) else { throw .invalidRequest("one item twice in a transaction") }
    return keys
  }

  package static func check(_ keys: [ItemKey]) throws(StoreError) {
    guard keys.count <= StoreLimits.batchGetKeys else {
      throw .invalidRequest("\(keys.count) keys; at most \(StoreLimits.batchGetKeys) are allowed")
    }
    for key in keys { try check(key) }
    guard Set(keys).count == keys.count else { throw .invalidRequest("one key twice in a batch") }
  }

  package static func check(_ key: ItemKey) throws(StoreError) {
    try check(partition: key.partition, sort: key.sort)
  }

  /// Checks a query and returns the index it names.
  package static func index(of query: Query) throws(StoreError) -> IndexSchema? {
    guard (1...StoreLimits.queryItems).contains(query.limit) else {
      throw .invalidRequest("limit \(query.limit) is not in 1…\(StoreLimits.queryItems)")
    }
    guard !query.partition.isEmpty else { throw .invalidRequest("a query needs a partition key") }
    guard let name = query.index else { return nil }
    guard let index = query.table.index(named: name) else {
      throw .invalidRequest("table \(query.table.name) has no index \(name)")
    }
    return index
  }
}

extension StoreRules {
  private static func key(of write: Write) throws(StoreError) -> ItemKey {
    switch write.action {
    case .delete(let key), .check(let key):
      try check(key)
      return key
    case .put(let item):
      guard let key = write.table.key(of: item) else {
        throw .invalidRequest("an item of \(write.table.name) lacks a key attribute")
      }
      try check(key)
      return key
    }
  }

  private static func check(partition: String, sort: String) throws(StoreError) {
    guard (1...StoreLimits.partitionKeyBytes).contains(partition.utf8.count),
      (1...StoreLimits.sortKeyBytes).contains(sort.utf8.count)
    else { throw .invalidRequest("a key is empty or too long") }
  }

  private static func size(of item: Item, in table: TableSchema, at index: Int) throws(StoreError) -> Int {
    let bytes = item.byteCount
    guard bytes <= StoreLimits.itemBytes else { throw .itemTooLarge(index: index) }
    guard item.values.allSatisfy({ $0.isNested(atMost: StoreLimits.nesting) }) else {
      throw .invalidRequest("an attribute is nested too deeply")
    }
    for index in table.indexes {
      guard let keys = index.keys(of: item) else { continue }
      try check(partition: keys.partition, sort: keys.sort)
    }
    return bytes
  }

  private static func isUnique(_ writes: [Write], _ keys: [ItemKey]) -> Bool {
    struct Place: Hashable {
      var table: String
      var key: ItemKey
    }
    var seen = Set<Place>(minimumCapacity: keys.count)
    return zip(writes, keys).allSatisfy { seen.insert(Place(table: $0.table.name, key: $1)).inserted }
  }
}

extension AttributeValue {
  fileprivate func isNested(atMost depth: Int) -> Bool {
    switch self {
    case .list(let values): depth > 0 && values.allSatisfy { $0.isNested(atMost: depth - 1) }
    case .map(let values): depth > 0 && values.values.allSatisfy { $0.isNested(atMost: depth - 1) }
    default: true
    }
  }
}
