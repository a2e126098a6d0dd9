internal import CProtobuf

/// Fields that a message's descriptor does not name, on their way through protobuf-c.
enum UnknownFields {
  /// The unknown fields of a decoded message, serialized again.
  static func collect(from base: ProtobufCMessage) -> [UInt8] {
    var result: [UInt8] = []
    for index in unsafe 0..<Int(base.n_unknown_fields) {
      let field = unsafe base.unknown_fields[index]
      append(varint: UInt64(unsafe field.tag) << 3 | UInt64(unsafe field.wire_type.rawValue), to: &result)
      unsafe result.append(contentsOf: UnsafeBufferPointer(start: field.data, count: field.len))
    }
    return result
  }

  static func append(varint value: UInt64, to bytes: inout [UInt8]) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }
}
