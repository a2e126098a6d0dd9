package import NIOCore

/// The length prefix of a gRPC message: 1-byte compressed flag, 4-byte big-endian length.
///
/// Source: gRPC over HTTP/2, "Length-Prefixed-Message"; WIRE W17.
package enum MessageFraming {
  package static let prefixLength = 5

  /// Appends one uncompressed message that `body` writes.
  package static func write<E: Error>(
    into buffer: inout ByteBuffer, _ body: (inout ByteBuffer) throws(E) -> Void
  ) throws(E) {
    let start = buffer.writerIndex
    buffer.writeInteger(0 as UInt8)
    buffer.writeInteger(0 as UInt32)
    do {
      try body(&buffer)
    } catch {
      buffer.moveWriterIndex(to: start)
      throw error
    }
    buffer.setInteger(UInt32(buffer.writerIndex - start - prefixLength), at: start + 1)
  }

  /// Appends one uncompressed message.
  package static func write(_ message: ByteBuffer, into buffer: inout ByteBuffer) {
    buffer.writeInteger(0 as UInt8)
    buffer.writeInteger(UInt32(message.readableBytes))
    buffer.writeImmutableBuffer(message)
  }
}

/// Splits the bytes of one gRPC stream into length-prefixed messages.
///
/// Holds no bytes itself: it reads from the stream's buffer, whatever the cut of its frames. Source: WIRE W17–W24.
package struct MessageDeframer: Sendable, Equatable {
  /// The longest payload accepted, in bytes.
  package let maxMessageLength: Int
  /// Of the message whose prefix was read, if its payload is not complete yet.
  package private(set) var pendingLength: Int?

  package static let defaultMaxMessageLength = 4 * 1024 * 1024

  package init(maxMessageLength: Int = defaultMaxMessageLength) {
    self.maxMessageLength = maxMessageLength
  }

  /// Removes and returns the next whole message, or `nil` if more bytes are needed.
  ///
  /// - Throws: `RESOURCE_EXHAUSTED` once a prefix announces more than `maxMessageLength` bytes (the payload is not
  ///   waited for, W22); `INTERNAL` for a compressed message, since no encoding was agreed on, and for a flag that is
  ///   neither 0 nor 1 (W18).
  package mutating func next(from buffer: inout ByteBuffer) throws(RPCError) -> ByteBuffer? {
    if pendingLength == nil {
      guard let flag = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
      guard flag == 0 else {
        throw RPCError(
          .internal,
          flag == 1
            ? "A message is marked as compressed, but no grpc-encoding was announced."
            : "A message has the flag \(flag); only 0 and 1 are defined.")
      }
      guard let length = buffer.getInteger(at: buffer.readerIndex + 1, as: UInt32.self) else { return nil }
      guard Int(length) <= maxMessageLength else {
        throw RPCError(
          .resourceExhausted,
          "A message of \(length) bytes is larger than the limit of \(maxMessageLength) (option: maxMessageLength).")
      }
      buffer.moveReaderIndex(forwardBy: MessageFraming.prefixLength)
      pendingLength = Int(length)
    }
    guard let length = pendingLength, let message = buffer.readSlice(length: length) else { return nil }
    pendingLength = nil
    return message
  }

  /// Whether a message was begun and is not complete, given what is left in the buffer: an error at the end of the
  /// stream (W23).
  package func isInsideMessage(_ buffer: ByteBuffer) -> Bool { pendingLength != nil || buffer.readableBytes > 0 }
}
