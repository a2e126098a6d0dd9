internal import Storage

/// The writer's statements on one table.
final class TableStatements {
  /// What a write needs to know of the row it meets.
  struct Row {
    var number: Int64
    var timeToLive: Int64?
    var columns: [String?]
    var checksum: Int64
    /// The item as it is stored, for those who replace or delete it.
    var body: [UInt8]
    /// Decoded only for a condition.
    var item: Item?
  }

  private let layout: TableLayout
  private let connection: Connection
  private let find: SQLStatement
  private let insert: SQLStatement
  private let remove: SQLStatement
  private let expired: SQLStatement
  /// Updates by the set of derived columns they change, so that unchanged index entries are not touched.
  private var updates: [UInt64: SQLStatement] = [:]

  init(_ layout: TableLayout, _ connection: Connection) throws(SQLiteFailure) {
    self.layout = layout
    self.connection = connection
    let columns = layout.attributes.map(layout.column)
    let list = columns.map { ", " + $0 }.joined()
    let marks = columns.map { _ in ", ?" }.joined()
    find = try connection.prepare(
      "SELECT row, ttl, checksum, body\(list) FROM \(layout.sql) WHERE pk = ? AND sk = ?")
    insert = try connection.prepare(
      "INSERT INTO \(layout.sql) (pk, sk, sequence, checksum, body, ttl\(list)) VALUES (?, ?, ?, ?, ?, ?\(marks))")
    remove = try connection.prepare("DELETE FROM \(layout.sql) WHERE row = ?")
    expired = try connection.prepare(
      "SELECT pk, sk FROM \(layout.sql) WHERE ttl IS NOT NULL AND ttl < ? ORDER BY ttl LIMIT ?")
  }

  func row(_ key: ItemKey, decoding: Bool) throws -> Row? {
    find.bind(key.partition, at: 1)
    find.bind(key.sort, at: 2)
    defer { find.reset() }
    guard try find.step() else { return nil }
    var row = Row(
      number: find.integer(0), timeToLive: find.optionalInteger(1),
      columns: layout.attributes.indices.map { find.isNull(Int32($0) + 4) ? nil : find.text(Int32($0) + 4) },
      checksum: find.integer(2), body: find.blob(3))
    if decoding { row.item = try layout.item(key: key, body: row.body, checksum: row.checksum) }
    return row
  }

  func put(_ item: StoredItem, key: ItemKey, over row: Row?, sequence: Int64) throws(SQLiteFailure) {
    guard let row else {
      insert.bind(key.partition, at: 1)
      insert.bind(key.sort, at: 2)
      insert.bind(sequence, at: 3)
      insert.bind(item.checksum, at: 4)
      insert.bind(item.body, at: 5)
      insert.bind(item.timeToLive, at: 6)
      for (offset, value) in item.columns.enumerated() { insert.bind(value, at: Int32(offset) + 7) }
      return try insert.execute()
    }
    let changes = changes(from: row, to: item)
    let update = try update(changes)
    update.bind(sequence, at: 1)
    update.bind(item.checksum, at: 2)
    update.bind(item.body, at: 3)
    var index: Int32 = 4
    if changes & 1 != 0 {
      update.bind(item.timeToLive, at: index)
      index += 1
    }
    for (offset, value) in item.columns.enumerated() where changes & (2 << UInt64(offset)) != 0 {
      update.bind(value, at: index)
      index += 1
    }
    update.bind(row.number, at: index)
    try update.execute()
  }

  func delete(_ row: Row) throws(SQLiteFailure) {
    remove.bind(row.number, at: 1)
    try remove.execute()
  }

  func expired(oldestLive: Int64, limit: Int) throws(SQLiteFailure) -> [ItemKey] {
    expired.bind(oldestLive, at: 1)
    expired.bind(Int64(limit), at: 2)
    defer { expired.reset() }
    var keys: [ItemKey] = []
    while try expired.step() { keys.append(ItemKey(expired.text(0) ?? "", expired.text(1) ?? "")) }
    return keys
  }

  /// Bit 0: the time to live; bit n + 1: column n.
  private func changes(from row: Row, to item: StoredItem) -> UInt64 {
    var changes: UInt64 = row.timeToLive == item.timeToLive ? 0 : 1
    for (offset, (before, after)) in zip(row.columns, item.columns).enumerated() {
      let isSame =
        if let before, let after { before.hasSameBytes(as: after) } else { before == nil && after == nil }
      if !isSame { changes |= 2 << UInt64(offset) }
    }
    return changes
  }

  private func update(_ changes: UInt64) throws(SQLiteFailure) -> SQLStatement {
    if let statement = updates[changes] { return statement }
    var assignments = ["sequence = ?", "checksum = ?", "body = ?"]
    if changes & 1 != 0 { assignments.append("ttl = ?") }
    for (offset, attribute) in layout.attributes.enumerated() where changes & (2 << UInt64(offset)) != 0 {
      assignments.append("\(layout.column(of: attribute)) = ?")
    }
    let statement = try connection.prepare(
      "UPDATE \(layout.sql) SET \(assignments.joined(separator: ", ")) WHERE row = ?")
    updates[changes] = statement
    return statement
  }
}
