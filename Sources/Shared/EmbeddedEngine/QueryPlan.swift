internal import Storage

/// A query as bounds on one SQL index: always one range of it, read from its start.
///
/// A cursor replaces the bound on its side (it can only narrow what it came from), because SQLite would use one of two
/// lower bounds to seek and test the other row by row.
struct QueryPlan: Sendable {
  /// What decides the SQL text; few, so that statements are prepared once.
  struct Shape: Hashable, Sendable {
    var table: Int64
    var index: String?
    var ascending: Bool
    var isExact = false
    var hasLower = false
    var hasUpper = false
    var hasCursor = false
  }

  let layout: TableLayout
  let order: TableLayout.Order
  let limit: Int
  private(set) var shape: Shape
  private let partition: String
  private var exact: String?
  private var lower: String?
  private var upper: [UInt8]?
  private var cursor: Query.Cursor?

  /// `nil` if nothing can match.
  init?(_ query: Query, index: IndexSchema?, layout: TableLayout) {
    self.layout = layout
    order = layout.order(of: index)
    limit = query.limit
    partition = query.partition
    cursor = query.exclusiveStart
    shape = Shape(table: layout.number, index: index?.name, ascending: query.ascending)
    switch query.sortKey {
    case .any: break
    case .equals(let value): exact = value
    case .beginsWith(let prefix):
      if !prefix.isEmpty {
        lower = prefix
        // No UTF-8 text holds the byte 0xFF, so this sorts after all that begin with the prefix.
        upper = Array(prefix.utf8) + [0xFF]
      }
    case .between(let low, let high):
      guard !high.precedesBytewise(low) else { return nil }
      lower = low
      upper = Array(high.utf8)
    case .atLeast(let low): lower = low
    case .atMost(let high): upper = Array(high.utf8)
    }
    guard reconcileCursor(ascending: query.ascending) else { return nil }
    shape.isExact = exact != nil
    shape.hasLower = lower != nil
    shape.hasUpper = upper != nil
    shape.hasCursor = cursor != nil
  }

  /// Lets the cursor and the bound on its side become one. False if the cursor lies beyond all that could match.
  private mutating func reconcileCursor(ascending: Bool) -> Bool {
    guard let cursor else { return true }
    let place = cursor.sortKey
    if let exact {
      // Where the sort key tells items apart by itself, there is nothing after the one that has it.
      if place.hasSameBytes(as: exact) { return order.rest.count > 1 }
      self.cursor = nil
      return ascending == place.precedesBytewise(exact)
    }
    if ascending {
      if let lower, place.precedesBytewise(lower) { self.cursor = nil } else { lower = nil }
    } else {
      if let upper, upper.lexicographicallyPrecedes(place.utf8) { self.cursor = nil } else { upper = nil }
    }
    return true
  }

  /// Columns: pk, sk, sort key, checksum, body.
  var sql: String {
    let sort = order.rest.first?.sql ?? "sk"
    var terms = order.present.map { "\($0) IS NOT NULL" } + ["\(order.partition) = ?"]
    if exact != nil { terms.append("\(sort) = ?") }
    if lower != nil { terms.append("\(sort) >= ?") }
    if upper != nil { terms.append("\(sort) <= ?") }
    if cursor != nil {
      let columns = cursorColumns.map(\.sql).joined(separator: ", ")
      let marks = cursorColumns.map { _ in "?" }.joined(separator: ", ")
      terms.append("(\(columns)) \(shape.ascending ? ">" : "<") (\(marks))")
    }
    if layout.schema.timeToLiveAttribute != nil { terms.append("(ttl IS NULL OR ttl >= ?)") }
    let direction = shape.ascending ? "" : " DESC"
    return """
      SELECT pk, sk, \(sort), checksum, body FROM \(layout.sql) INDEXED BY \(order.sqlIndex)
      WHERE \(terms.joined(separator: " AND "))
      ORDER BY \(order.rest.map { $0.sql + direction }.joined(separator: ", ")) LIMIT ?
      """
  }

  func bind(to statement: SQLStatement, oldestLive: Int64) {
    var index: Int32 = 1
    func next() -> Int32 {
      defer { index += 1 }
      return index
    }
    statement.bind(partition, at: next())
    if let exact { statement.bind(exact, at: next()) }
    if let lower { statement.bind(lower, at: next()) }
    if let upper { statement.bind(text: upper, at: next()) }
    if let cursor {
      for column in cursorColumns { statement.bind(cursor.value(of: column.part), at: next()) }
    }
    if layout.schema.timeToLiveAttribute != nil { statement.bind(oldestLive, at: next()) }
    // One more than asked for says whether there is a next page.
    statement.bind(Int64(limit) + 1, at: next())
  }

  /// The columns a cursor is compared by: with an exact sort key only those that break ties.
  private var cursorColumns: ArraySlice<TableLayout.Order.Column> { order.rest.dropFirst(exact == nil ? 0 : 1) }
}

extension Query.Cursor {
  fileprivate func value(of part: TableLayout.Order.Part) -> String {
    switch part {
    case .sortKey: sortKey
    case .itemPartition: item.partition
    case .itemSort: item.sort
    }
  }
}
