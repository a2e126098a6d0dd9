/// Appends the primitives of the stored forms: varints of 7 bits a byte, least first, and counted bytes.
struct ByteEncoder: Sendable {
  private(set) var bytes: [UInt8] = []

  init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  mutating func append(byte: UInt8) { bytes.append(byte) }

  mutating func append(varint: UInt64) {
    var rest = varint
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func append(count: Int) { append(varint: UInt64(count)) }

  mutating func append(_ text: String) {
    append(count: text.utf8.count)
    bytes.append(contentsOf: text.utf8)
  }

  mutating func append(_ value: [UInt8]) {
    append(count: value.count)
    bytes.append(contentsOf: value)
  }

  mutating func append(raw value: [UInt8]) { bytes.append(contentsOf: value) }
}

/// Reads what ``ByteEncoder`` wrote; whatever does not fit is refused, never read past.
struct ByteDecoder: Sendable {
  /// The bytes are not a stored form that this release knows.
  struct Malformed: Error {}

  private let bytes: [UInt8]
  private(set) var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func byte() throws(Malformed) -> UInt8 {
    guard position < bytes.count else { throw Malformed() }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func varint() throws(Malformed) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      let byte = try byte()
      guard shift < 63 || byte <= 1 else { throw Malformed() }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw Malformed()
  }

  /// A count of things that take at least one byte each.
  mutating func count() throws(Malformed) -> Int {
    let count = try varint()
    guard count <= UInt64(bytes.count - position) else { throw Malformed() }
    return Int(count)
  }

  mutating func text() throws(Malformed) -> String {
    let bytes = try slice()
    // `String(validating:as:)` looks generic metadata up at each call, which costs more than the copy.
    do { return String(copying: try UTF8Span(validating: bytes.span)) } catch { throw Malformed() }
  }

  mutating func binary() throws(Malformed) -> [UInt8] { Array(try slice()) }

  mutating func skipCounted() throws(Malformed) { _ = try slice() }

  /// What was read since `position` was `start`.
  func bytes(since start: Int) -> ArraySlice<UInt8> { bytes[start..<position] }

  private mutating func slice() throws(Malformed) -> ArraySlice<UInt8> {
    let count = try count()
    defer { position += count }
    return bytes[position..<position + count]
  }
}
