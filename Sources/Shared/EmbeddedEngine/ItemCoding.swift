internal import Storage

/// The stored form of an item: a version byte, then its attributes as a map.
///
/// A map is a count, then name and value of each entry, names in byte order, so that equal items have equal bytes.
/// A value is a tag and what the tag asks for.
enum ItemCoding {
  static func encode(_ item: Item) -> [UInt8] {
    var encoder = ByteEncoder(capacity: 64 * item.count + 16)
    encoder.append(byte: version)
    encoder.append(item)
    return encoder.bytes
  }

  static func decode(_ bytes: [UInt8]) throws(ByteDecoder.Malformed) -> Item {
    var decoder = ByteDecoder(bytes)
    guard try decoder.byte() == version else { throw ByteDecoder.Malformed() }
    let item = try decoder.map(depth: StoreLimits.nesting)
    guard decoder.isAtEnd else { throw ByteDecoder.Malformed() }
    return item
  }

  private static let version: UInt8 = 1
}

private enum Tag {
  static let null: UInt8 = 0
  static let no: UInt8 = 1
  static let yes: UInt8 = 2
  /// Zigzag varint.
  static let number: UInt8 = 3
  static let string: UInt8 = 4
  static let binary: UInt8 = 5
  static let list: UInt8 = 6
  static let map: UInt8 = 7
}

extension ByteEncoder {
  fileprivate mutating func append(_ map: Item) {
    append(count: map.count)
    for (name, value) in map.sorted(by: { $0.key.precedesBytewise($1.key) }) {
      append(name)
      append(value)
    }
  }

  private mutating func append(_ value: AttributeValue) {
    switch value {
    case .null: append(byte: Tag.null)
    case .bool(let value): append(byte: value ? Tag.yes : Tag.no)
    case .number(let value):
      append(byte: Tag.number)
      append(varint: UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    case .string(let value):
      append(byte: Tag.string)
      append(value)
    case .binary(let value):
      append(byte: Tag.binary)
      append(value)
    case .list(let values):
      append(byte: Tag.list)
      append(count: values.count)
      for value in values { append(value) }
    case .map(let values):
      append(byte: Tag.map)
      append(values)
    }
  }
}

extension ByteDecoder {
  fileprivate mutating func map(depth: Int) throws(Malformed) -> Item {
    let count = try count()
    var map = Item(minimumCapacity: count)
    for _ in 0..<count {
      let name = try text()
      guard map.updateValue(try value(depth: depth), forKey: name) == nil else { throw Malformed() }
    }
    return map
  }

  private mutating func value(depth: Int) throws(Malformed) -> AttributeValue {
    switch try byte() {
    case Tag.null: return .null
    case Tag.no: return .bool(false)
    case Tag.yes: return .bool(true)
    case Tag.number:
      let zigzag = try varint()
      return .number(Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1))
    case Tag.string: return .string(try text())
    case Tag.binary: return .binary(try binary())
    case Tag.list:
      guard depth > 0 else { throw Malformed() }
      var values: [AttributeValue] = []
      for _ in 0..<(try count()) { values.append(try value(depth: depth - 1)) }
      return .list(values)
    case Tag.map:
      guard depth > 0 else { throw Malformed() }
      return .map(try map(depth: depth - 1))
    default: throw Malformed()
    }
  }
}
