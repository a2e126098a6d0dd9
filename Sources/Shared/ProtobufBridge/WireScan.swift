internal import CProtobuf

/// Walks over a serialized message before protobuf-c does.
///
/// protobuf-c is fast on what well-behaved peers send and wrong on the rest: it fails on a known field with another
/// wire type and on groups, merges repeated singular messages in quadratic time and not as the specification says, and
/// allocates what the peer likes. The scan finds out, before anything is allocated, whether bytes are malformed,
/// whether they need ``WireRewriter`` first, and how much memory protobuf-c will take.
struct WireScan {
  /// protobuf-c decodes these bytes as the specification says.
  private(set) var isPlain = true
  /// An upper bound of what protobuf-c allocates.
  private(set) var memory = 0

  private static let pointerSize = unsafe MemoryLayout<UnsafeRawPointer>.stride
  private static let byteFieldSize = unsafe MemoryLayout<ProtobufCBinaryData>.stride
  private static let unknownFieldSize = unsafe MemoryLayout<ProtobufCMessageUnknownField>.stride

  private let budget: Int
  /// Whether unknown fields are wrapped, as ``WireRewriter`` leaves them.
  private let isRewritten: Bool

  init(budget: Int, isRewritten: Bool = false) {
    self.budget = budget
    self.isRewritten = isRewritten
  }

  /// Scans a whole message that is not empty.
  mutating func scan(
    _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) throws(WireProblem) {
    guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    try unsafe scan(start, count: bytes.count, as: descriptor, depth: 0)
  }

  private mutating func scan(
    _ start: UnsafePointer<UInt8>, count: Int, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
  ) throws(WireProblem) {
    guard depth <= DecodingLimits.depth else { throw .nestedTooDeeply }
    var cursor = unsafe WireCursor(start, count: count)
    var lookup = unsafe FieldLookup(descriptor)
    var memory = unsafe aligned(descriptor.pointee.sizeof_message)
    var members = 0
    /// One bit per singular message field; fields 64 apart share one, which costs a rewrite and nothing else.
    var seen: UInt64 = 0

    while unsafe !cursor.isAtEnd {
      let (number, wireType) = unsafe try cursor.tag()
      members += 1
      guard let field = unsafe lookup.find(number), unsafe FieldKind.accepts(field, wireType) else {
        try unsafe scanUnknown(&cursor, number: number, wireType: wireType, depth: depth, memory: &memory)
        continue
      }
      let isRepeated = unsafe field.pointee.label == PROTOBUF_C_LABEL_REPEATED
      switch wireType {
      case WireType.varint:
        unsafe try cursor.skipVarint()
        if isRepeated { memory += 8 }
      case WireType.fixed32:
        unsafe try cursor.skip(4)
        if isRepeated { memory += 8 }
      case WireType.fixed64:
        unsafe try cursor.skip(8)
        if isRepeated { memory += 8 }
      default:
        let length = unsafe try cursor.length()
        switch unsafe field.pointee.type {
        case PROTOBUF_C_TYPE_BYTES:
          memory += aligned(length) + (isRepeated ? Self.byteFieldSize : 0)
        case PROTOBUF_C_TYPE_MESSAGE:
          if isRepeated {
            memory += Self.pointerSize
          } else {
            let bit = unsafe UInt64(1) << UInt64(lookup.index & 63)
            if seen & bit != 0 { isPlain = false }
            seen |= bit
          }
          guard let nested = unsafe FieldKind.messageDescriptor(of: field) else { throw .illegalTag }
          unsafe try scan(cursor.position, count: length, as: nested, depth: depth + 1)
        default:
          let width = unsafe FieldKind.packedWidth(of: field)
          guard length % width.onWire == 0 else { throw .illegalLength }
          memory += aligned(length / width.onWire * width.inMemory)
        }
        unsafe try cursor.skip(length)
      }
      // Checked as it grows: what is over the budget is not worth walking on. What will be rewritten is checked then.
      guard self.memory &+ memory <= budget || !isPlain else { throw .tooMuchMemory }
    }
    unsafe self.memory += memory + Self.bookkeeping(members: members, fields: Int(descriptor.pointee.n_fields))
    guard self.memory <= budget || !isPlain else { throw .tooMuchMemory }
  }

  private mutating func scanUnknown(
    _ cursor: inout WireCursor, number: UInt32, wireType: UInt32, depth: Int, memory: inout Int
  ) throws(WireProblem) {
    let start = unsafe cursor.position
    unsafe try cursor.skipValue(number: number, wireType: wireType, depth: depth)
    memory += unsafe aligned(cursor.position - start)
    if isRewritten {
      memory += Self.unknownFieldSize
      guard number == WireRewriter.wrapperNumber else { throw .illegalTag }
    } else {
      isPlain = false
    }
  }

  /// What `protobuf_c_message_unpack` allocates beside the message: a list of the members, of which the first 16 are
  /// on its stack and each further block is twice as long, and a bitmap beyond 128 fields.
  private static func bookkeeping(members: Int, fields: Int) -> Int {
    var bytes = fields > 128 ? aligned((fields + 7) / 8) : 0
    var listed = 16
    var block = 32
    while listed < members {
      bytes += block * 32
      listed += block
      block *= 2
    }
    return bytes
  }
}

@inline(__always)
private func aligned(_ byteCount: Int) -> Int { (byteCount &+ 7) & ~7 }
