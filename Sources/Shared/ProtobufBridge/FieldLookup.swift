internal import CProtobuf

/// Finds the fields of a message by number, fastest in the order in which encoders write them.
@unsafe
struct FieldLookup {
  private let fields: UnsafePointer<ProtobufCFieldDescriptor>?
  private let count: Int
  /// The index of the field found last.
  private(set) var index = 0

  init(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) {
    unsafe fields = descriptor.pointee.fields
    unsafe count = Int(descriptor.pointee.n_fields)
  }

  @inline(__always)
  mutating func find(_ number: UInt32) -> UnsafePointer<ProtobufCFieldDescriptor>? {
    guard let fields = unsafe fields else { return nil }
    var candidate = unsafe index
    // A few steps onward find nearly everything; whoever writes fields in a strange order pays for a search.
    let last = unsafe min(candidate + 4, count)
    while candidate < last {
      let id = unsafe fields[candidate].id
      if id == number {
        unsafe index = candidate
        return unsafe fields + candidate
      }
      if id > number { break }
      candidate += 1
    }
    return unsafe search(fields, number)
  }

  private mutating func search(
    _ fields: UnsafePointer<ProtobufCFieldDescriptor>, _ number: UInt32
  ) -> UnsafePointer<ProtobufCFieldDescriptor>? {
    var low = 0
    var high = unsafe count
    while low < high {
      let middle = (low + high) / 2
      let id = unsafe fields[middle].id
      if id == number {
        unsafe index = middle
        return unsafe fields + middle
      }
      if id < number { low = middle + 1 } else { high = middle }
    }
    return nil
  }
}

/// What the type of a field means on the wire. Lowered schemas have no strings, enums or floating-point numbers.
enum FieldKind {
  /// Whether a field may come with this wire type: its own, or packed.
  @inline(__always)
  static func accepts(_ field: UnsafePointer<ProtobufCFieldDescriptor>, _ wireType: UInt32) -> Bool {
    let own = unsafe self.wireType(of: field)
    if own == wireType { return true }
    return unsafe wireType == WireType.lengthDelimited && field.pointee.label == PROTOBUF_C_LABEL_REPEATED
  }

  @inline(__always)
  private static func wireType(of field: UnsafePointer<ProtobufCFieldDescriptor>) -> UInt32 {
    switch unsafe field.pointee.type {
    case PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_MESSAGE: WireType.lengthDelimited
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: WireType.fixed64
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: WireType.fixed32
    default: WireType.varint
    }
  }

  /// Least bytes of one packed element on the wire, and its bytes in memory.
  static func packedWidth(
    of field: UnsafePointer<ProtobufCFieldDescriptor>
  ) -> (onWire: Int, inMemory: Int) {
    switch unsafe field.pointee.type {
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: (8, 8)
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: (4, 4)
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_UINT64: (1, 8)
    default: (1, 4)
    }
  }

  static func isSingularMessage(_ field: UnsafePointer<ProtobufCFieldDescriptor>) -> Bool {
    unsafe field.pointee.type == PROTOBUF_C_TYPE_MESSAGE && field.pointee.label != PROTOBUF_C_LABEL_REPEATED
  }

  static func isOneofMember(_ field: UnsafePointer<ProtobufCFieldDescriptor>) -> Bool {
    unsafe field.pointee.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0
  }

  static func messageDescriptor(
    of field: UnsafePointer<ProtobufCFieldDescriptor>
  ) -> UnsafePointer<ProtobufCMessageDescriptor>? {
    unsafe field.pointee.descriptor?.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
  }
}
