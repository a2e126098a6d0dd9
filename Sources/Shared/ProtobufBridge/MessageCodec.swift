internal import CProtobuf
internal import NIOCore
internal import RPC

/// The two ways between a Swift value and its bytes.
enum MessageCodec {
  static func decode<Message: ProtobufMessage>(
    _ type: Message.Type, _ bytes: UnsafeRawBufferPointer
  ) throws(WireMessageError) -> Message {
    let layout = Message.layout
    var memory = DecodingMemory(budget: DecodingLimits.memory(forMessageOf: bytes.count))
    let message: Message?
    var decoder = MessageDecoder()
    message = unsafe withUnsafeMutablePointer(to: &memory) { memory in
      var allocator = unsafe ProtobufCAllocator(
        alloc: { memory, size in
          unsafe memory?.assumingMemoryBound(to: DecodingMemory.self).pointee.allocate(size)
        },
        free: { _, _ in }, allocator_data: memory)
      let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard let root = unsafe protobuf_c_message_unpack(layout.descriptor, &allocator, bytes.count, start) else {
        return nil
      }
      return unsafe Message(decoding: UnsafeRawPointer(root), &decoder)
    }
    guard let message else { throw WireMessageError("\(Message.protoName): the bytes are not such a message.") }
    if let failure = decoder.failure {
      throw WireMessageError("\(Message.protoName): \(failure.path) \(failure.problem).")
    }
    return message
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

/// How much memory a message may take while it is decoded.
package enum DecodingLimits {
  /// Proportional to the message, so that a small hostile one cannot make us allocate a lot: C structs, tables and
  /// copies of an ordinary message take two to six times its size.
  package static func memory(forMessageOf byteCount: Int) -> Int { 64 * 1024 + 8 * byteCount }
}

/// The arena that protobuf-c decodes into, with a budget.
private struct DecodingMemory: ~Copyable {
  private var arena = Arena()
  private var budget: Int

  init(budget: Int) { self.budget = budget }

  mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    guard size <= budget else { return nil }
    budget -= (size + 7) & ~7
    return unsafe arena.allocate(size)
  }
}
