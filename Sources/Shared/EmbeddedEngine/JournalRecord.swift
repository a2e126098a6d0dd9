internal import Storage

/// A row of the journal: one committed transaction.
///
/// Its changes are, one after another: the table's number, the key, a ``Kind``, and what the kind asks for.
struct JournalRecord: Sendable {
  /// From a sequence on, that one included.
  static let select = """
    SELECT sequence, committed, checksum, changes FROM journal WHERE sequence >= ? ORDER BY sequence LIMIT ?
    """

  /// What follows a change's key. Format 1 of the store had the first two only; now they stand for damaged items.
  private enum Kind {
    /// Nothing: a deletion.
    static let removal: UInt8 = 0
    /// The item's body, whatever was there before.
    static let image: UInt8 = 1
    /// The body of an item that was not there before.
    static let creation: UInt8 = 2
    /// A count and the names of the attributes that differ, then the body.
    static let replacement: UInt8 = 3
    /// The last body of an item that is gone.
    static let deletion: UInt8 = 4
  }

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
    enum Previous: Sendable {
      case absent
      case differing([String])
      case deleted([UInt8])
      case unknown
    }

    var table: Int64
    var key: ItemKey
    var body: [UInt8]?
    var previous: Previous
  }

  func entries() throws(StoreError) -> [Entry] {
    guard checksum == Self.checksum(sequence, committedAt, changes) else {
      throw .corrupt("transaction \(sequence) of the journal does not match its checksum")
    }
    do {
      var decoder = ByteDecoder(changes)
      var entries: [Entry] = []
      while !decoder.isAtEnd { entries.append(try Self.entry(&decoder)) }
      return entries
    } catch { throw .corrupt("transaction \(sequence) of the journal cannot be decoded") }
  }

  /// The transaction, with its changes of `tables` that `filter` admits; only these are decoded.
  func transaction(
    tables: [Int64: TableLayout], matching filter: ChangeFilter? = nil
  ) throws(StoreError) -> CommittedTransaction {
    var changes: [CommittedTransaction.Change] = []
    for entry in try entries() {
      // A table that this release no longer declares has no readers here.
      guard let table = tables[entry.table]?.schema.name else { continue }
      if let filter, !filter.admits(table: table, key: entry.key) { continue }
      var image: Item?
      if let body = entry.body { image = try item(body) }
      let previous: CommittedTransaction.Previous =
        switch entry.previous {
        case .absent: .absent
        case .differing(let names): .differing(names)
        case .deleted(let body): .deleted(try item(body))
        case .unknown: .unknown
        }
      changes.append(.init(table: table, key: entry.key, image: image, previous: previous))
    }
    return CommittedTransaction(sequence: sequence, committedAt: committedAt, changes: changes)
  }

  private func item(_ body: [UInt8]) throws(StoreError) -> Item {
    guard let item = try? ItemCoding.decode(body) else {
      throw .corrupt("an image in transaction \(sequence) cannot be decoded")
    }
    return item
  }

  private static func checksum(_ sequence: Int64, _ committedAt: Int64, _ changes: [UInt8]) -> Int64 {
    var crc = CRC32C()
    crc.update(sequence)
    crc.update(committedAt)
    crc.update(changes)
    return Int64(crc.value)
  }
}

extension JournalRecord {
  static func append(_ entry: Entry, to encoder: inout ByteEncoder) {
    encoder.append(varint: UInt64(bitPattern: entry.table))
    encoder.append(entry.key.partition)
    encoder.append(entry.key.sort)
    switch (entry.body, entry.previous) {
    case (let body?, .differing(let names)):
      encoder.append(byte: Kind.replacement)
      encoder.append(count: names.count)
      for name in names { encoder.append(name) }
      encoder.append(body)
    case (let body?, .absent):
      encoder.append(byte: Kind.creation)
      encoder.append(body)
    case (let body?, _):
      encoder.append(byte: Kind.image)
      encoder.append(body)
    case (nil, .deleted(let body)):
      encoder.append(byte: Kind.deletion)
      encoder.append(body)
    case (nil, _): encoder.append(byte: Kind.removal)
    }
  }

  private static func entry(_ decoder: inout ByteDecoder) throws(ByteDecoder.Malformed) -> Entry {
    let table = Int64(bitPattern: try decoder.varint())
    let key = ItemKey(try decoder.text(), try decoder.text())
    var entry = Entry(table: table, key: key, body: nil, previous: .unknown)
    switch try decoder.byte() {
    case Kind.removal: break
    case Kind.image: entry.body = try decoder.binary()
    case Kind.creation:
      entry.body = try decoder.binary()
      entry.previous = .absent
    case Kind.replacement:
      var names: [String] = []
      for _ in 0..<(try decoder.count()) { names.append(try decoder.text()) }
      entry.body = try decoder.binary()
      entry.previous = .differing(names)
    case Kind.deletion: entry.previous = .deleted(try decoder.binary())
    default: throw ByteDecoder.Malformed()
    }
    return entry
  }
}
