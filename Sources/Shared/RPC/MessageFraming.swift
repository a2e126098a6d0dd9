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

  /// Appends one message, compressed if that makes it shorter.
  package static func write(_ message: ByteBuffer, as encoding: MessageEncoding, into buffer: inout ByteBuffer) {
    guard encoding != .identity, message.readableBytes > 0 else { return write(message, into: &buffer) }
    let start = buffer.writerIndex
    buffer.writeInteger(1 as UInt8)
    buffer.writeInteger(0 as UInt32)
    if encoding.compress(message, into: &buffer) {
      buffer.setInteger(UInt32(buffer.writerIndex - start - prefixLength), at: start + 1)
    } else {
      buffer.moveWriterIndex(to: start)
      write(message, into: &buffer)
    }
  }
}

/// Splits the bytes of one gRPC stream into length-prefixed messages, and inflates those that are compressed.
///
/// Holds no bytes itself: it reads from the stream's buffer, whatever the cut of its frames. Source: WIRE W17–W24.
package struct MessageDeframer: Sendable {
  /// The longest payload accepted, in bytes: as it comes, and inflated.
  package let maxMessageLength: Int
  /// What flagged messages are compressed with: what `grpc-encoding` said. With `identity` the flag is an error (W18).
  package var encoding = MessageEncoding.identity
  /// `/package.Service/Method`, for errors.
  package var method = ""
  /// Bytes that the message last taken had on the wire, without its prefix.
  package private(set) var lastWireLength = 0
  /// Whether the message last taken was compressed.
  package private(set) var wasLastCompressed = false
  /// Of the message whose prefix was read, if its payload is not complete yet.
  private var pendingLength: Int?
  /// Names the limit in errors.
  private let option: StaticString

  package static let defaultMaxMessageLength = 4 * 1024 * 1024

  /// - Parameter option: what the limit is called where it is set.
  package init(maxMessageLength: Int = defaultMaxMessageLength, option: StaticString = "maxMessageLength") {
    self.maxMessageLength = maxMessageLength
    self.option = option
  }

  /// Removes and returns the next whole message, inflated, or `nil` if more bytes are needed.
  ///
  /// - Throws: `RESOURCE_EXHAUSTED` once a prefix announces more than `maxMessageLength` bytes (the payload is not
  ///   waited for, W22), and when more than that comes out of a compressed message; `INTERNAL` for a compressed message
  ///   when no encoding was agreed on, for a flag that is neither 0 nor 1 (W18), and for what cannot be inflated (W20).
  package mutating func next(from buffer: inout ByteBuffer) throws(RPCError) -> ByteBuffer? {
    try readPrefix(from: &buffer)
    guard let length = pendingLength, let payload = buffer.readSlice(length: length) else { return nil }
    pendingLength = nil
    lastWireLength = length
    guard wasLastCompressed else { return payload }
    guard let message = try encoding.decompress(payload, limit: maxMessageLength) else {
      throw tooLarge("\(length) bytes, inflated,")
    }
    return message
  }

  /// Reads the prefix of the next message, if it is there and was not read before; does not wait for its payload.
  ///
  /// - Throws: as ``next(from:)`` does for a prefix.
  mutating func readPrefix(from buffer: inout ByteBuffer) throws(RPCError) {
    if pendingLength == nil {
      guard let flag = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return }
      guard flag == 0 || flag == 1 && encoding != .identity else {
        throw RPCError(
          .internal,
          flag == 1
            ? "A message is marked as compressed, but no grpc-encoding was announced."
            : "A message has the flag \(flag); only 0 and 1 are defined.")
      }
      guard let length = buffer.getInteger(at: buffer.readerIndex + 1, as: UInt32.self) else { return }
      guard Int(length) <= maxMessageLength else { throw tooLarge("\(length) bytes") }
      buffer.moveReaderIndex(forwardBy: MessageFraming.prefixLength)
      pendingLength = Int(length)
      wasLastCompressed = flag == 1
    }
  }

  /// The stream is given up: a message that was begun does not count any more.
  mutating func forgetMessage() { pendingLength = nil }

  private func tooLarge(_ size: String) -> RPCError {
    let name = method.isEmpty ? "" : " of \(method)"
    return RPCError(
      .resourceExhausted,
      "A message\(name) with \(size) is larger than the limit of \(maxMessageLength) bytes (option: \(option)).")
  }

  /// Whether a message was begun and is not complete, given what is left in the buffer: an error at the end of the
  /// stream (W23).
  package func isInsideMessage(_ buffer: ByteBuffer) -> Bool { pendingLength != nil || buffer.readableBytes > 0 }
}
