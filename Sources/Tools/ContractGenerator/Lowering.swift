/// Rewrites a schema so that stock protoc-c generates a codec which loses nothing.
///
/// The wire format stays what it was: `string` becomes `bytes` (NUL and UTF-8 are the bridge's business), an enum
/// becomes `int32` (unknown numbers stay), `float` and `double` become their bit patterns (protobuf-c would drop a
/// negative zero), a map becomes its repeated entry message, and proto3 `optional` leaves its oneof of one field.
struct Lowering {
  static func descriptorSet(of schema: Schema) -> [UInt8] {
    var set = WireWriter()
    for file in schema.files {
      set.message(1) { writer in
        writer.string(1, CNames.file(file.name))
        if !file.package.isEmpty { writer.string(2, file.package) }
        for dependency in file.dependencies { writer.string(3, CNames.file(dependency)) }
        for message in file.messages { writer.message(4) { lower(message, into: &$0) } }
        writer.string(12, "proto3")
      }
    }
    return set.bytes
  }

  private static func lower(_ message: MessageType, into writer: inout WireWriter) {
    writer.string(1, message.name)
    for field in message.fields {
      // An entry of a map is always written with key and value, zero or not, so both get presence.
      let oneof = message.isMapEntry ? field.number - 1 : field.oneofIndex
      writer.message(2) { lower(field, oneof: oneof, into: &$0) }
    }
    for nested in message.nested { writer.message(3) { lower(nested, into: &$0) } }
    let oneofs = message.isMapEntry ? message.fields.count : message.oneofs.count
    for index in 0..<oneofs { writer.message(8) { $0.string(1, CNames.oneof(index)) } }
  }

  private static func lower(_ field: Field, oneof: Int?, into writer: inout WireWriter) {
    let kind: Field.Kind =
      switch field.kind {
      case .string: .bytes
      case .enum: .int32
      case .float: .fixed32
      case .double: .fixed64
      default: field.kind
      }
    writer.string(1, CNames.member(field))
    writer.int(3, field.number)
    writer.int(4, field.isRepeated ? 3 : 1)
    writer.int(5, kind.rawValue)
    if kind == .message { writer.string(6, "." + field.typeName) }
    if let packed = field.isPacked { writer.message(8) { $0.int(2, packed ? 1 : 0) } }
    if let index = oneof { writer.int(9, index) }
  }
}
