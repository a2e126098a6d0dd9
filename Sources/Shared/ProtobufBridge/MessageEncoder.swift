package import CProtobuf

/// Builds the C structs of one message, in an arena. Generated code calls it.
package struct MessageEncoder: ~Copyable {
  private var arena = Arena()
  /// Bytes of strings and byte fields so far; more than 2 GiB of them cannot be one message.
  private var contentSize = 0

  init() {}

  var isTooLarge: Bool { contentSize > Int(Int32.max) }

  /// The C struct of a message.
  @inlinable
  package mutating func message<Message: ProtobufMessage>(_ message: Message) -> UnsafeMutableRawPointer {
    let raw = unsafe zeroed(Message.layout.size)
    unsafe message.encode(into: raw, &self)
    return unsafe raw
  }

  @usableFromInline
  package mutating func zeroed(_ byteCount: Int) -> UnsafeMutableRawPointer {
    unsafe arena.allocateZeroed(byteCount)
  }

  package mutating func string(_ value: String) -> ProtobufCBinaryData {
    let utf8 = value.utf8
    let count = utf8.count
    guard count > 0 else { return unsafe ProtobufCBinaryData(len: 0, data: nil) }
    let target = unsafe content(count)
    let copied: Void? = unsafe utf8.withContiguousStorageIfAvailable { source in
      unsafe target.update(from: source.baseAddress.unsafelyUnwrapped, count: count)
    }
    if copied == nil {
      for (index, byte) in utf8.enumerated() { unsafe target[index] = byte }
    }
    return unsafe ProtobufCBinaryData(len: count, data: target)
  }

  package mutating func bytes(_ value: [UInt8]) -> ProtobufCBinaryData {
    guard !value.isEmpty else { return unsafe ProtobufCBinaryData(len: 0, data: nil) }
    let target = unsafe content(value.count)
    unsafe value.withUnsafeBufferPointer { source in
      unsafe target.update(from: source.baseAddress.unsafelyUnwrapped, count: source.count)
    }
    return unsafe ProtobufCBinaryData(len: value.count, data: target)
  }

  /// Room for content; once there is too much for a message, all of it lands in one place, for nobody to read.
  private mutating func content(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    contentSize &+= count
    return unsafe arena.allocate(count).bindMemory(to: UInt8.self, capacity: count)
  }

  /// Hands the unknown fields to protobuf-c as one: the first tag, then everything after it verbatim.
  package mutating func unknownFields(_ fields: [UInt8], of base: inout ProtobufCMessage) {
    var cursor = fields.startIndex
    var tag: UInt64 = 0
    var shift: UInt64 = 0
    while cursor < fields.endIndex, shift < 35 {
      let byte = fields[cursor]
      cursor += 1
      tag |= UInt64(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 { break }
    }
    let rest = unsafe bytes(Array(fields[cursor...]))
    let field = unsafe arena.allocate(MemoryLayout<ProtobufCMessageUnknownField>.stride)
      .bindMemory(to: ProtobufCMessageUnknownField.self, capacity: 1)
    unsafe field.initialize(
      to: ProtobufCMessageUnknownField(
        tag: UInt32(truncatingIfNeeded: tag >> 3),
        wire_type: ProtobufCWireType(rawValue: UInt32(truncatingIfNeeded: tag & 7)), len: rest.len, data: rest.data))
    unsafe base.n_unknown_fields = 1
    unsafe base.unknown_fields = field
  }
}

// MARK: - Repeated fields

extension MessageEncoder {
  private mutating func array<Source, Element>(
    _ values: [Source], _ convert: (inout MessageEncoder, Source) -> Element
  ) -> UnsafeMutablePointer<Element> {
    let target = unsafe arena.allocate(values.count * MemoryLayout<Element>.stride)
      .bindMemory(to: Element.self, capacity: values.count)
    for index in values.indices {
      unsafe (target + index).initialize(to: convert(&self, values[index]))
    }
    return unsafe target
  }

  package mutating func strings(_ values: [String]) -> UnsafeMutablePointer<ProtobufCBinaryData> {
    unsafe array(values) { encoder, value in unsafe encoder.string(value) }
  }

  package mutating func byteStrings(_ values: [[UInt8]]) -> UnsafeMutablePointer<ProtobufCBinaryData> {
    unsafe array(values) { encoder, value in unsafe encoder.bytes(value) }
  }

  package mutating func bools(_ values: [Bool]) -> UnsafeMutablePointer<protobuf_c_boolean> {
    unsafe array(values) { _, value in value ? 1 : 0 }
  }

  package mutating func floats(_ values: [Float]) -> UnsafeMutablePointer<UInt32> {
    unsafe array(values) { _, value in value.bitPattern }
  }

  package mutating func doubles(_ values: [Double]) -> UnsafeMutablePointer<UInt64> {
    unsafe array(values) { _, value in value.bitPattern }
  }

  package mutating func enums<Value: ProtobufEnum>(_ values: [Value]) -> UnsafeMutablePointer<Int32> {
    unsafe array(values) { _, value in value.rawValue }
  }

  package mutating func scalars<Value: FixedWidthInteger>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
    unsafe array(values) { _, value in value }
  }

  /// A table of the addresses of messages.
  package mutating func messages<Message: ProtobufMessage>(_ values: [Message]) -> UnsafeMutableRawPointer {
    let table = unsafe array(values) { encoder, value in unsafe Optional(encoder.message(value)) }
    return UnsafeMutableRawPointer(table)
  }

  /// Zeroed structs for the entries of a map, and the table of their addresses.
  package mutating func entries<Entry>(_ type: Entry.Type, count: Int) -> MapEntries<Entry> {
    let first = unsafe arena.allocateZeroed(count * MemoryLayout<Entry>.stride)
      .bindMemory(to: Entry.self, capacity: count)
    let table = unsafe arena.allocate(count * MemoryLayout<UnsafeMutablePointer<Entry>?>.stride)
      .bindMemory(to: UnsafeMutablePointer<Entry>?.self, capacity: count)
    for index in 0..<count { unsafe (table + index).initialize(to: first + index) }
    return unsafe MapEntries(first: first, table: table)
  }
}

/// The C structs of a map's entries.
@unsafe
package struct MapEntries<Entry> {
  package let first: UnsafeMutablePointer<Entry>
  package let table: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>
}

/// The order in which the entries of a map are written: by key, so that equal messages have equal bytes.
package enum MapOrder {
  /// By UTF-8, as `protoc --encode --deterministic_output` does.
  package static func sorted<Value>(_ map: [String: Value]) -> [(key: String, value: Value)] {
    map.count < 2 ? Array(map) : map.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  package static func sorted<Key: FixedWidthInteger, Value>(_ map: [Key: Value]) -> [(key: Key, value: Value)] {
    map.sorted { $0.key < $1.key }
  }

  package static func sorted<Value>(_ map: [Bool: Value]) -> [(key: Bool, value: Value)] {
    map.sorted { !$0.key && $1.key }
  }
}
