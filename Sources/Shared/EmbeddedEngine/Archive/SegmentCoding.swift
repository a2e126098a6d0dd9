internal import EncryptedStorage
internal import Storage

/// The frames of a segment, in this order: one ``start``, ``records`` as often as there are, one ``end`` if it is
/// complete.
enum SegmentFrame {
  static let start: UInt8 = 1
  static let records: UInt8 = 2
  static let end: UInt8 = 3
}

/// What a segment's first frame says.
struct SegmentStart: Sendable, Hashable {
  /// A table as the records number it.
  struct Table: Sendable, Hashable {
    var number: Int64
    var name: String
    var partitionKey: String
    var sortKey: String
  }

  var history: String
  /// The place in the journal that the segment goes on from.
  var position: JournalPosition
  var tables: [Table]

  private static let version: UInt8 = 1

  var bytes: [UInt8] {
    var encoder = ByteEncoder()
    encoder.append(byte: Self.version)
    encoder.append(history)
    encoder.append(position)
    encoder.append(count: tables.count)
    for table in tables {
      encoder.append(varint: UInt64(bitPattern: table.number))
      encoder.append(table.name)
      encoder.append(table.partitionKey)
      encoder.append(table.sortKey)
    }
    return encoder.bytes
  }

  init(history: String, position: JournalPosition, tables: [Table]) {
    self.history = history
    self.position = position
    self.tables = tables
  }

  init(_ bytes: [UInt8]) throws(ByteDecoder.Malformed) {
    var decoder = ByteDecoder(bytes)
    guard try decoder.byte() == Self.version else { throw ByteDecoder.Malformed() }
    history = try decoder.text()
    position = try decoder.journalPosition()
    tables = []
    for _ in 0..<(try decoder.count()) {
      tables.append(
        Table(
          number: Int64(bitPattern: try decoder.varint()), name: try decoder.text(),
          partitionKey: try decoder.text(), sortKey: try decoder.text()))
    }
  }
}

extension StoreTables {
  var catalog: [SegmentStart.Table] {
    all.map {
      SegmentStart.Table(
        number: $0.number, name: $0.schema.name, partitionKey: $0.schema.partitionKey, sortKey: $0.schema.sortKey)
    }
  }
}

/// Records of the journal in a row, as one frame holds them.
enum SegmentRecords {
  static func encode(_ records: [JournalRecord]) -> [UInt8] {
    var encoder = ByteEncoder(capacity: records.reduce(16) { $0 + $1.changes.count + 24 })
    encoder.append(count: records.count)
    for record in records {
      encoder.append(JournalPosition(sequence: record.sequence, committedAt: record.committedAt))
      encoder.append(record.changes)
    }
    return encoder.bytes
  }

  static func decode(_ bytes: [UInt8]) throws(ByteDecoder.Malformed) -> [JournalRecord] {
    var decoder = ByteDecoder(bytes)
    var records: [JournalRecord] = []
    for _ in 0..<(try decoder.count()) {
      let position = try decoder.journalPosition()
      records.append(
        JournalRecord(
          sequence: position.sequence, committedAt: position.committedAt, changes: try decoder.binary()))
    }
    return records
  }
}

/// What a segment's last frame says: the place after its last record. Of a fixed length, so that it is found from the
/// end of the file.
enum SegmentEnd {
  static let length = 16

  static func encode(_ position: JournalPosition) -> [UInt8] {
    [position.sequence, position.committedAt].flatMap { number in
      (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * Int64($0))) }
    }
  }

  static func decode(_ bytes: [UInt8]) -> JournalPosition? {
    guard bytes.count == length else { return nil }
    func number(_ at: Int) -> Int64 { bytes[at..<at + 8].reduce(0) { $0 << 8 | Int64($1) } }
    return JournalPosition(sequence: number(0), committedAt: number(8))
  }
}

extension ByteEncoder {
  fileprivate mutating func append(_ position: JournalPosition) {
    append(varint: UInt64(bitPattern: position.sequence))
    append(varint: UInt64(bitPattern: position.committedAt))
  }
}

extension ByteDecoder {
  fileprivate mutating func journalPosition() throws(Malformed) -> JournalPosition {
    JournalPosition(sequence: Int64(bitPattern: try varint()), committedAt: Int64(bitPattern: try varint()))
  }
}
