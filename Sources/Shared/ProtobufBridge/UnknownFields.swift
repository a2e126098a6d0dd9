internal import CProtobuf

/// Fields that a message's descriptor does not name, on their way through protobuf-c.
enum UnknownFields {
  /// The unknown fields of a decoded message, as they came: what ``WireRewriter`` wrapped.
  static func collect(from base: ProtobufCMessage) -> [UInt8] {
    guard unsafe base.n_unknown_fields == 1, let field = unsafe base.unknown_fields else { return [] }
    let prefix = WireRewriter.lengthSize
    guard unsafe field.pointee.len > prefix, let data = unsafe field.pointee.data else { return [] }
    return unsafe Array(UnsafeBufferPointer(start: data + prefix, count: field.pointee.len - prefix))
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
