internal import CProtobuf

/// Rewrites a message, found well-formed by ``WireScan``, into bytes that protobuf-c decodes as the specification says.
///
/// - The occurrences of a singular message field are joined: merging messages is joining their bytes. In a oneof only
///   those after the last other member count.
/// - Everything unknown to a message (unknown numbers, groups, known numbers with another wire type) becomes one field
///   of number ``wrapperNumber``, whatever there is of it.
///
/// The work is linear in the size of the message for each level of the schema.
struct WireRewriter {
  /// The largest field number; the generator refuses schemas that use it.
  static let wrapperNumber: UInt32 = 536_870_911
  /// Lengths are written before they are known, in this many bytes.
  static let lengthSize = 5

  private(set) var output: [UInt8] = []

  static func rewrite(
    _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) throws(WireProblem) -> [UInt8] {
    var rewriter = WireRewriter()
    rewriter.output.reserveCapacity(bytes.count + bytes.count / 4)
    try unsafe rewriter.message(bytes, as: descriptor, depth: 0)
    return rewriter.output
  }

  private mutating func message(
    _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
  ) throws(WireProblem) {
    guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    var cursor = unsafe WireCursor(start, count: bytes.count)
    var lookup = unsafe FieldLookup(descriptor)
    var joined: [Int: [UInt8]] = [:]
    var unknown: [UInt8] = []

    while unsafe !cursor.isAtEnd {
      let fieldStart = unsafe cursor.position
      let (number, wireType) = unsafe try cursor.tag()
      let valueStart = unsafe cursor.position
      let field = unsafe lookup.find(number)
      guard let field = unsafe field, unsafe FieldKind.accepts(field, wireType) else {
        unsafe try cursor.skipValue(number: number, wireType: wireType, depth: depth)
        // protobuf-c writes the tag anew and as short as it can be, so that is how it is kept.
        UnknownFields.append(varint: UInt64(number) << 3 | UInt64(wireType), to: &unknown)
        unsafe unknown.append(contentsOf: UnsafeBufferPointer(start: valueStart, count: cursor.position - valueStart))
        continue
      }
      if unsafe FieldKind.isOneofMember(field) {
        unsafe forgetOthers(than: lookup.index, in: &joined, of: descriptor)
      }
      guard unsafe field.pointee.type == PROTOBUF_C_TYPE_MESSAGE else {
        unsafe try cursor.skipValue(number: number, wireType: wireType, depth: depth)
        unsafe output.append(contentsOf: UnsafeBufferPointer(start: fieldStart, count: cursor.position - fieldStart))
        continue
      }
      let length = unsafe try cursor.length()
      let content = unsafe UnsafeRawBufferPointer(start: cursor.position, count: length)
      unsafe try cursor.skip(length)
      if unsafe FieldKind.isSingularMessage(field) {
        unsafe joined[lookup.index, default: []].append(contentsOf: content)
      } else {
        try unsafe nested(content, in: field, depth: depth)
      }
    }

    for (index, content) in joined.sorted(by: { $0.key < $1.key }) {
      guard let fields = unsafe descriptor.pointee.fields else { continue }
      let result: Result<Void, WireProblem> = unsafe content.withUnsafeBytes { content in
        do throws(WireProblem) {
          return .success(try unsafe nested(content, in: fields + index, depth: depth))
        } catch {
          return .failure(error)
        }
      }
      try result.get()
    }
    if !unknown.isEmpty {
      let mark = begin(number: Self.wrapperNumber)
      output.append(contentsOf: unknown)
      end(mark)
    }
  }

  private mutating func nested(
    _ content: UnsafeRawBufferPointer, in field: UnsafePointer<ProtobufCFieldDescriptor>, depth: Int
  ) throws(WireProblem) {
    guard let descriptor = unsafe FieldKind.messageDescriptor(of: field) else { return }
    let mark = unsafe begin(number: field.pointee.id)
    try unsafe message(content, as: descriptor, depth: depth + 1)
    end(mark)
  }

  /// A member of a oneof was set: the messages set before in other members are gone.
  private func forgetOthers(
    than index: Int, in joined: inout [Int: [UInt8]], of descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) {
    guard !joined.isEmpty, let fields = unsafe descriptor.pointee.fields else { return }
    let oneof = unsafe fields[index].quantifier_offset
    for other in joined.keys where other != index {
      let field = unsafe fields + other
      if unsafe FieldKind.isOneofMember(field) && field.pointee.quantifier_offset == oneof {
        joined[other] = nil
      }
    }
  }

  // MARK: - Length-delimited output

  private mutating func begin(number: UInt32) -> Int {
    UnknownFields.append(varint: UInt64(number) << 3 | UInt64(WireType.lengthDelimited), to: &output)
    output.append(contentsOf: repeatElement(0, count: Self.lengthSize))
    return output.count
  }

  private mutating func end(_ mark: Int) {
    var length = output.count - mark
    for index in mark - Self.lengthSize..<mark - 1 {
      output[index] = UInt8(length & 0x7f) | 0x80
      length >>= 7
    }
    output[mark - 1] = UInt8(length & 0x7f)
  }
}
