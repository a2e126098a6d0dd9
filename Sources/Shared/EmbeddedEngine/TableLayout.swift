internal import Storage

/// How a table lies in SQLite.
///
/// One SQL table `clinicavoice-<name>-<environment>` holds an item a row: a row number that grows with time, so that
/// new items are appended rather than scattered by their random keys; the key; the number of the transaction that wrote
/// it; a checksum over table, key and body; and the body as ``ItemCoding`` makes it. Each attribute that an index needs
/// is a column too, `NULL` where the item's is absent or no string, and each index of the model is a partial SQL index
/// over these columns. So one statement writes an item with all its index entries, and SQLite's own integrity check
/// compares entries and rows in both directions.
struct TableLayout: Sendable {
  /// The table's number in the catalog, by which journal and checksums know it.
  let number: Int64
  let schema: TableSchema
  let name: String
  /// Attributes kept as columns for the indexes, in order; key attributes have columns of their own.
  let attributes: [String]

  init(number: Int64, schema: TableSchema, environment: String) {
    self.number = number
    self.schema = schema
    name = "clinicavoice-\(schema.name)-\(environment)"
    var attributes: [String] = []
    for attribute in schema.indexes.flatMap({ [$0.partitionKey, $0.sortKey] })
    where attribute != schema.partitionKey && attribute != schema.sortKey && !attributes.contains(attribute) {
      attributes.append(attribute)
    }
    self.attributes = attributes
  }

  /// The columns by which an index is ordered: its partition and sort key, then what breaks ties.
  struct Order: Sendable {
    let sqlIndex: String
    let partition: String
    /// The sort key's column, then the table's key columns, without repetition.
    let rest: [Column]
    /// Columns that are not `NULL` in this order.
    let present: [String]

    /// A column and which part of a cursor it is compared with.
    struct Column: Sendable {
      var sql: String
      var part: Part
    }
    enum Part: Sendable { case sortKey, itemPartition, itemSort }
  }
}

extension TableLayout {
  var sql: String { Self.quoted(name) }

  func column(of attribute: String) -> String {
    switch attribute {
    case schema.partitionKey: "pk"
    case schema.sortKey: "sk"
    default: Self.quoted("a:" + attribute)
    }
  }

  /// The order of `index`, or of the table by its own key.
  func order(of index: IndexSchema?) -> Order {
    let partition = index.map { column(of: $0.partitionKey) } ?? "pk"
    let sort = index.map { column(of: $0.sortKey) } ?? "sk"
    var rest: [Order.Column] = []
    let columns: [Order.Column] = [
      .init(sql: sort, part: .sortKey), .init(sql: "pk", part: .itemPartition), .init(sql: "sk", part: .itemSort),
    ]
    for column in columns where column.sql != partition && !rest.contains(where: { $0.sql == column.sql }) {
      rest.append(column)
    }
    let attributes = [partition, sort].filter { $0 != "pk" && $0 != "sk" }
    return Order(
      sqlIndex: Self.quoted(name + (index.map { "/\($0.name)" } ?? "/key")), partition: partition, rest: rest,
      present: attributes)
  }

  var createTable: String {
    """
    CREATE TABLE \(sql) (row INTEGER PRIMARY KEY, pk TEXT NOT NULL, sk TEXT NOT NULL, sequence INTEGER NOT NULL,
      checksum INTEGER NOT NULL, ttl INTEGER, body BLOB NOT NULL);
    CREATE UNIQUE INDEX \(Self.quoted(name + "/key")) ON \(sql) (pk, sk);
    CREATE INDEX \(Self.quoted(name + "/ttl")) ON \(sql) (ttl) WHERE ttl IS NOT NULL;
    """
  }

  func create(_ index: IndexSchema) -> String {
    let order = order(of: index)
    let columns = ([order.partition] + order.rest.map(\.sql)).joined(separator: ", ")
    let sparse = order.present.map { "\($0) IS NOT NULL" }.joined(separator: " AND ")
    return "CREATE INDEX \(order.sqlIndex) ON \(sql) (\(columns))" + (sparse.isEmpty ? "" : " WHERE \(sparse)")
  }

  static func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}

/// An item as its row has it.
struct StoredItem: Sendable {
  var body: [UInt8]
  var checksum: Int64
  var timeToLive: Int64?
  /// The values of ``TableLayout/attributes``.
  var columns: [String?]
}

extension TableLayout {
  func stored(_ item: Item, key: ItemKey) -> StoredItem {
    let body = ItemCoding.encode(item)
    return StoredItem(
      body: body, checksum: checksum(key: key, body: body), timeToLive: schema.timeToLive(of: item),
      columns: columns(of: item))
  }

  func columns(of item: Item) -> [String?] { attributes.map { item[$0]?.stringValue } }

  func checksum(key: ItemKey, body: [UInt8]) -> Int64 {
    var crc = CRC32C()
    crc.update(number)
    crc.update(key.partition)
    crc.update(key.sort)
    crc.update(body)
    return Int64(crc.value)
  }

  /// The item of a row, if the row is what was written.
  func item(key: ItemKey, body: [UInt8], checksum: Int64) throws(StoreError) -> Item {
    guard checksum == self.checksum(key: key, body: body) else {
      throw .corrupt("an item of \(name) does not match its checksum")
    }
    guard let item = try? ItemCoding.decode(body), schema.key(of: item) == key else {
      throw .corrupt("an item of \(name) cannot be decoded")
    }
    return item
  }
}
