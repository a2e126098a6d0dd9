internal import Storage

/// The items of one table and the order of each of its indexes.
struct MemoryTable {
  let schema: TableSchema
  private var items: [ItemKey: Item] = [:]
  /// The table's own order first, under the empty name, then each index by its name; by partition.
  private var orders: [String: [PartitionName: [Entry]]] = [:]

  init(schema: TableSchema) { self.schema = schema }

  /// The item with this key, expired or not.
  func stored(_ key: ItemKey) -> Item? { items[key] }

  func live(_ key: ItemKey, now: Int64) -> Item? {
    items[key].flatMap { schema.isExpired($0, now: now) ? nil : $0 }
  }

  func expired(now: Int64) -> [ItemKey] { items.filter { schema.isExpired($0.value, now: now) }.map(\.key) }

  /// Puts or deletes an item. Returns false if there was nothing to delete.
  mutating func set(_ key: ItemKey, to item: Item?) -> Bool {
    let before = items.removeValue(forKey: key)
    guard before != nil || item != nil else { return false }
    if let before { forEachPlace(of: before, key: key) { $2.remove($1, from: $0) } }
    if let item {
      items[key] = item
      forEachPlace(of: item, key: key) { $2.insert($1, into: $0) }
    }
    return true
  }

  func page(_ query: Query, index: String?, now: Int64) -> Page {
    let entries = orders[index ?? ""]?[PartitionName(query.partition)] ?? []
    let start = query.exclusiveStart.map { Entry(sortKey: $0.sortKey, item: $0.item) }
    var page = Page(items: [], next: nil)
    var bytes = 0
    var last: Entry?
    for position in entries.indices {
      let entry = query.ascending ? entries[position] : entries[entries.count - 1 - position]
      if let start, query.ascending ? !(start < entry) : !(entry < start) { continue }
      guard query.sortKey.admits(entry.sortKey), let item = live(entry.item, now: now) else { continue }
      if let last, page.items.count == query.limit || bytes >= StoreLimits.pageBytes {
        page.next = Query.Cursor(sortKey: last.sortKey, item: last.item)
        break
      }
      page.items.append(item)
      bytes += item.byteCount
      last = entry
    }
    return page
  }
}

extension MemoryTable {
  private mutating func forEachPlace(
    of item: Item, key: ItemKey, _ body: (Place, Entry, inout MemoryTable) -> Void
  ) {
    body(Place(order: "", partition: key.partition), Entry(sortKey: key.sort, item: key), &self)
    for index in schema.indexes {
      guard let keys = index.keys(of: item) else { continue }
      body(Place(order: index.name, partition: keys.partition), Entry(sortKey: keys.sort, item: key), &self)
    }
  }

  private mutating func insert(_ entry: Entry, into place: Place) {
    var entries = orders[place.order, default: [:]].removeValue(forKey: place.partition) ?? []
    entries.insert(entry, at: entries.firstPosition(notBefore: entry))
    orders[place.order, default: [:]][place.partition] = entries
  }

  private mutating func remove(_ entry: Entry, from place: Place) {
    guard var entries = orders[place.order]?.removeValue(forKey: place.partition) else { return }
    let position = entries.firstPosition(notBefore: entry)
    if position < entries.count, entries[position] == entry { entries.remove(at: position) }
    if !entries.isEmpty { orders[place.order]?[place.partition] = entries }
  }
}

/// One order of a table and a partition in it.
private struct Place {
  var order: String
  var partition: PartitionName

  init(order: String, partition: String) {
    self.order = order
    self.partition = PartitionName(partition)
  }
}

/// A partition key, equal by its bytes.
private struct PartitionName: Hashable {
  let name: String

  init(_ name: String) { self.name = name }

  static func == (left: PartitionName, right: PartitionName) -> Bool { left.name.hasSameBytes(as: right.name) }
  func hash(into hasher: inout Hasher) { name.hashBytes(into: &hasher) }
}

/// An item's place in a partition: by sort key, then by its own key, all bytewise.
private struct Entry: Comparable {
  var sortKey: String
  var item: ItemKey

  static func == (left: Entry, right: Entry) -> Bool {
    left.sortKey.hasSameBytes(as: right.sortKey) && left.item == right.item
  }

  static func < (left: Entry, right: Entry) -> Bool {
    if !left.sortKey.hasSameBytes(as: right.sortKey) { return left.sortKey.precedesBytewise(right.sortKey) }
    if !left.item.partition.hasSameBytes(as: right.item.partition) {
      return left.item.partition.precedesBytewise(right.item.partition)
    }
    return left.item.sort.precedesBytewise(right.item.sort)
  }
}

extension [Entry] {
  fileprivate func firstPosition(notBefore entry: Entry) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < entry { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension Query.SortKey {
  fileprivate func admits(_ sortKey: String) -> Bool {
    switch self {
    case .any: true
    case .equals(let value): sortKey.hasSameBytes(as: value)
    case .beginsWith(let prefix): sortKey.utf8.starts(with: prefix.utf8)
    case .between(let low, let high): !sortKey.precedesBytewise(low) && !high.precedesBytewise(sortKey)
    case .atLeast(let low): !sortKey.precedesBytewise(low)
    case .atMost(let high): !high.precedesBytewise(sortKey)
    }
  }
}
