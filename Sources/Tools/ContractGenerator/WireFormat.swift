internal import Foundation

/// One field of a protobuf message, undecoded.
struct WireField {
  enum Value {
    case varint(UInt64)
    case bytes(ArraySlice<UInt8>)
    case fixed
  }
  var number: Int
  var value: Value

  var bytes: ArraySlice<UInt8> { if case .bytes(let slice) = value { slice } else { [] } }
  var string: String { String(decoding: bytes, as: UTF8.self) }
  var int: Int { if case .varint(let raw) = value { Int(truncatingIfNeeded: raw) } else { 0 } }
  var bool: Bool { int != 0 }
}

/// Splits a serialized message into its fields.
///
/// The generator reads descriptors with this rather than with generated types, which it must not depend on.
/// Source: protobuf "Encoding".
struct WireReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  static func fields(of bytes: ArraySlice<UInt8>) throws -> [WireField] {
    var reader = WireReader(bytes)
    var fields: [WireField] = []
    while let field = try reader.next() { fields.append(field) }
    return fields
  }

  /// The elements of a packed field of varints.
  static func packedInts(_ bytes: ArraySlice<UInt8>) throws -> [Int] {
    var reader = WireReader(bytes)
    var values: [Int] = []
    while !reader.rest.isEmpty { values.append(Int(truncatingIfNeeded: try reader.varint())) }
    return values
  }

  mutating func next() throws -> WireField? {
    guard !rest.isEmpty else { return nil }
    let tag = try varint()
    let number = Int(truncatingIfNeeded: tag >> 3)
    switch tag & 7 {
    case 0: return WireField(number: number, value: .varint(try varint()))
    case 1:
      _ = try take(8)
      return WireField(number: number, value: .fixed)
    case 2:
      let length = try varint()
      guard length <= UInt64(rest.count) else { throw GeneratorError("The descriptor set is truncated.") }
      return WireField(number: number, value: .bytes(try take(Int(length))))
    case 5:
      _ = try take(4)
      return WireField(number: number, value: .fixed)
    default: throw GeneratorError("The descriptor set holds a wire type that descriptors do not use.")
    }
  }

  private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw GeneratorError("The descriptor set is truncated.") }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw GeneratorError("The descriptor set is truncated.") }
      value |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return value }
    }
    throw GeneratorError("The descriptor set holds a varint of more than ten bytes.")
  }
}

/// Builds a serialized message.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  mutating func int(_ number: Int, _ value: Int) {
    varint(UInt64(number) << 3)
    varint(UInt64(bitPattern: Int64(value)))
  }

  mutating func string(_ number: Int, _ value: String) { data(number, Array(value.utf8)) }

  mutating func data(_ number: Int, _ value: some Collection<UInt8>) {
    varint(UInt64(number) << 3 | 2)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  mutating func message(_ number: Int, _ build: (inout WireWriter) -> Void) {
    var inner = WireWriter()
    build(&inner)
    data(number, inner.bytes)
  }

  private mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }
}

/// What is wrong with the input, in one sentence.
struct GeneratorError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}
