internal import CProtobuf
internal import NIOCore
internal import RPC

/// The two ways between a Swift value and its bytes.
enum MessageCodec {
  static func decode<Message: ProtobufMessage>(
    _ type: Message.Type, _ bytes: UnsafeRawBufferPointer
  ) throws(WireMessageError) -> Message {
    guard bytes.count <= Int(Int32.max) else {
      throw WireMessageError("\(Message.protoName): the message exceeds 2 GiB.")
    }
    guard unsafe !bytes.isEmpty else { return Message() }
    do throws(WireProblem) {
      let budget = DecodingLimits.memory(forMessageOf: bytes.count)
      var scan = WireScan(budget: budget)
      try unsafe scan.scan(bytes, as: Message.layout.descriptor)
      if scan.isPlain {
        return try unsafe unpack(type, bytes, memory: scan.memory)
      }
      let rewritten = try unsafe WireRewriter.rewrite(bytes, as: Message.layout.descriptor)
      return try unsafe rewritten.withUnsafeBytes { rewritten in
        Result { () throws(WireProblem) in try unsafe decode(type, rewritten: rewritten, budget: budget) }
      }.get()
    } catch {
      throw WireMessageError("\(Message.protoName): \(error.description).")
    }
  }

  private static func decode<Message: ProtobufMessage>(
    _ type: Message.Type, rewritten bytes: UnsafeRawBufferPointer, budget: Int
  ) throws(WireProblem) -> Message {
    var scan = WireScan(budget: budget, isRewritten: true)
    try unsafe scan.scan(bytes, as: Message.layout.descriptor)
    return try unsafe unpack(type, bytes, memory: scan.memory)
  }

  private static func unpack<Message: ProtobufMessage>(
    _ type: Message.Type, _ bytes: UnsafeRawBufferPointer, memory: Int
  ) throws(WireProblem) -> Message {
    var memory = DecodingMemory(limit: memory)
    return try unsafe withUnsafeMutablePointer(to: &memory) { (memory) throws(WireProblem) -> Message in
      var allocator = unsafe ProtobufCAllocator(
        alloc: { memory, size in
          unsafe memory?.assumingMemoryBound(to: DecodingMemory.self).pointee.allocate(size)
        },
        free: { _, _ in }, allocator_data: memory)
      let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      let root = unsafe protobuf_c_message_unpack(Message.layout.descriptor, &allocator, bytes.count, start)
      guard let root = unsafe root else { throw .refused }
      var decoder = MessageDecoder()
      let message = unsafe Message(decoding: UnsafeRawPointer(root), &decoder)
      if let path = decoder.invalidPath { throw .invalidUTF8(path: path) }
      return message
    }
  }

  static func encode(_ message: some ProtobufMessage, into buffer: inout ByteBuffer) throws(WireMessageError) {
    var encoder = MessageEncoder()
    let base = unsafe encoder.message(message).assumingMemoryBound(to: ProtobufCMessage.self)
    let size = unsafe protobuf_c_message_get_packed_size(base)
    guard !encoder.isTooLarge, size <= Int(Int32.max) else {
      throw WireMessageError("\(type(of: message).protoName): the message exceeds 2 GiB.")
    }
    guard size > 0 else { return }
    unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
      unsafe protobuf_c_message_pack(base, target.baseAddress?.assumingMemoryBound(to: UInt8.self))
    }
    _ = consume encoder
  }
}

/// The arena that protobuf-c decodes into. Hands out no more than ``WireScan`` found necessary.
private struct DecodingMemory: ~Copyable {
  private var arena = Arena()
  private var remaining: Int

  init(limit: Int) { remaining = limit }

  mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    guard size <= remaining else { return nil }
    remaining -= (size + 7) & ~7
    return unsafe arena.allocate(size)
  }
}
