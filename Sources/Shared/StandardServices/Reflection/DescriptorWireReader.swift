/// Walks the fields of one serialized protobuf message.
///
/// Made for descriptors, whose messages nest themselves and therefore have no generated types here: it knows fields,
/// not schemas. Never reads beyond its bytes; groups are refused. Source: protobuf "Encoding".
struct DescriptorWireReader {
  struct Field {
    let number: Int
    let value: Value
  }

  enum Value {
    case varint(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// Four or eight bytes; no descriptor field that is read here has one.
    case fixed
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next field, or `nil` at the end.
  mutating func next() throws(DescriptorError) -> Field? {
    guard !rest.isEmpty else { return nil }
    let tag = try varint()
    let number = tag >> 3
    guard number >= 1, number <= 536_870_911 else { throw DescriptorError("A field number is out of range.") }
    switch tag & 7 {
    case 0: return Field(number: Int(number), value: .varint(try varint()))
    case 1:
      _ = try take(8)
      return Field(number: Int(number), value: .fixed)
    case 2:
      let count = try varint()
      guard count <= UInt64(rest.count) else { throw DescriptorError("A field is longer than its message.") }
      return Field(number: Int(number), value: .bytes(try take(Int(count))))
    case 5:
      _ = try take(4)
      return Field(number: Int(number), value: .fixed)
    default: throw DescriptorError("A field has wire type \(tag & 7), which descriptors do not use.")
    }
  }

  private mutating func take(_ count: Int) throws(DescriptorError) -> ArraySlice<UInt8> {
    guard count <= rest.count else { throw DescriptorError("The message ends inside a field.") }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func varint() throws(DescriptorError) -> UInt64 {
    var result: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 63, by: 7) {
      guard let byte = rest.popFirst() else { throw DescriptorError("The message ends inside a number.") }
      result |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return result }
    }
    throw DescriptorError("A number is longer than ten bytes.")
  }
}

/// A descriptor set that cannot be served.
package struct DescriptorError: Error, Sendable, Hashable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}
