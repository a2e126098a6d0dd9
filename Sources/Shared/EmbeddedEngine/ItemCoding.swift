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

  /// Names of the attributes that only one of two stored items has, or that differ, in byte order. Decodes no values:
  /// equal ones have equal bytes.
  static func differingNames(_ left: [UInt8], _ right: [UInt8]) throws(ByteDecoder.Malformed) -> [String] {
    var (left, right) = (try AttributeCursor(left), try AttributeCursor(right))
    var names: [String] = []
    while true {
      switch (left.current, right.current) {
      case (nil, nil): return names
      case (let before?, let after?) where before.name.hasSameBytes(as: after.name):
        if before.value != after.value { names.append(before.name) }
        try left.advance()
        try right.advance()
      case (let before?, let after) where after.map { before.name.precedesBytewise($0.name) } ?? true:
        names.append(before.name)
        try left.advance()
      case (_, let after):
        if let after { names.append(after.name) }
        try right.advance()
      }
    }
  }

  fileprivate static let version: UInt8 = 1
}

/// Walks over the attributes of a stored item.
private struct AttributeCursor {
  private var decoder: ByteDecoder
  private var rest: Int
  private(set) var current: (name: String, value: ArraySlice<UInt8>)?

  init(_ bytes: [UInt8]) throws(ByteDecoder.Malformed) {
    decoder = ByteDecoder(bytes)
    guard try decoder.byte() == ItemCoding.version else { throw ByteDecoder.Malformed() }
    rest = try decoder.count()
    try advance()
  }

  mutating func advance() throws(ByteDecoder.Malformed) {
    guard rest > 0 else { return current = nil }
    rest -= 1
    let name = try decoder.text()
    let start = decoder.position
    try decoder.skipValue(depth: StoreLimits.nesting)
    current = (name, decoder.bytes(since: start))
  }
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

  fileprivate mutating func skipValue(depth: Int) throws(Malformed) {
    switch try byte() {
    case Tag.null, Tag.no, Tag.yes: break
    case Tag.number: _ = try varint()
    case Tag.string, Tag.binary: try skipCounted()
    case Tag.list:
      guard depth > 0 else { throw Malformed() }
      for _ in 0..<(try count()) { try skipValue(depth: depth - 1) }
    case Tag.map:
      guard depth > 0 else { throw Malformed() }
      for _ in 0..<(try count()) {
        try skipCounted()
        try skipValue(depth: depth - 1)
      }
    default: throw Malformed()
    }
  }
}
