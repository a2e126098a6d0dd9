internal import Storage

/// A row of the journal: one committed transaction.
///
/// Its changes are, one after another: the table's number, the key, 0 for a deletion or 1 and the item's body.
struct JournalRecord: Sendable {
  static let select = """
    SELECT sequence, committed, checksum, changes FROM journal WHERE sequence > ? ORDER BY sequence LIMIT ?
    """

  var sequence: Int64
  var committedAt: Int64
  var checksum: Int64
  var changes: [UInt8]

  init(sequence: Int64, committedAt: Int64, changes: [UInt8]) {
    self.sequence = sequence
    self.committedAt = committedAt
    self.changes = changes
    checksum = Self.checksum(sequence, committedAt, changes)
  }

  /// The current row of ``select``.
  init(_ statement: SQLStatement) {
    sequence = statement.integer(0)
    committedAt = statement.integer(1)
    checksum = statement.integer(2)
    changes = statement.blob(3)
  }

  /// A change with its item still encoded.
  struct Entry: Sendable {
    var table: Int64
    var key: ItemKey
    var body: [UInt8]?
  }

  func entries() throws(StoreError) -> [Entry] {
    guard checksum == Self.checksum(sequence, committedAt, changes) else {
      throw .corrupt("transaction \(sequence) of the journal does not match its checksum")
    }
    do {
      var decoder = ByteDecoder(changes)
      var entries: [Entry] = []
      while !decoder.isAtEnd { entries.append(try decoder.entry()) }
      return entries
    } catch { throw .corrupt("transaction \(sequence) of the journal cannot be decoded") }
  }

  func transaction(tables: [Int64: TableLayout]) throws(StoreError) -> CommittedTransaction {
    var changes: [CommittedTransaction.Change] = []
    for entry in try entries() {
      // A table that this release no longer declares has no readers here.
      guard let layout = tables[entry.table] else { continue }
      var image: Item?
      if let body = entry.body {
        image = try? ItemCoding.decode(body)
        guard image != nil else { throw .corrupt("an image in transaction \(sequence) cannot be decoded") }
      }
      changes.append(.init(table: layout.schema.name, key: entry.key, image: image))
    }
    return CommittedTransaction(sequence: sequence, committedAt: committedAt, changes: changes)
  }

  private static func checksum(_ sequence: Int64, _ committedAt: Int64, _ changes: [UInt8]) -> Int64 {
    var crc = CRC32C()
    crc.update(sequence)
    crc.update(committedAt)
    crc.update(changes)
    return Int64(crc.value)
  }
}

extension ByteEncoder {
  mutating func append(_ entry: JournalRecord.Entry) {
    append(varint: UInt64(bitPattern: entry.table))
    append(entry.key.partition)
    append(entry.key.sort)
    append(byte: entry.body == nil ? 0 : 1)
    if let body = entry.body { append(body) }
  }
}

extension ByteDecoder {
  fileprivate mutating func entry() throws(Malformed) -> JournalRecord.Entry {
    let table = Int64(bitPattern: try varint())
    let key = ItemKey(try text(), try text())
    switch try byte() {
    case 0: return .init(table: table, key: key, body: nil)
    case 1: return .init(table: table, key: key, body: try binary())
    default: throw Malformed()
    }
  }
}
