internal import CZlib
package import NIOCore

/// Whole messages in and out of zlib's formats. Keeps nothing between messages (W19).
///
/// Sources: RFC 1950 (zlib, which gRPC and HTTP call "deflate"), RFC 1952 (gzip), zlib.h.
// Why @safe: the stream lives on the stack of one call, and its pointers never leave it.
@safe package enum Zlib {
  package enum Format: Sendable, CaseIterable {
    case gzip
    case zlib

    /// As zlib.h encodes the format: the window of 32 KiB, plus 16 for gzip.
    fileprivate var windowBits: Int32 { self == .gzip ? 15 + 16 : 15 }
  }

  package enum Failure: Error, Sendable, Hashable {
    /// Not what the format asks for: broken, cut off, or followed by something else.
    case corrupt
    /// More than the limit comes out of it; found while inflating, before more than the limit was held.
    case tooLarge
  }

  // MARK: Compressing

  /// Appends `bytes`, compressed.
  ///
  /// - Returns: whether that is shorter than `bytes`; if it is not, nothing was appended.
  package static func compress(_ bytes: ByteBuffer, as format: Format, into buffer: inout ByteBuffer) -> Bool {
    let length = bytes.readableBytes
    guard length > 0, length < Int(Int32.max) else { return false }
    var stream = unsafe z_stream()
    let status = unsafe deflateInit2_(
      &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, format.windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { return false }  // No memory for it: it goes out as it is.
    defer { unsafe deflateEnd(&stream) }
    var isComplete = false
    let start = buffer.writerIndex
    unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { space in
      unsafe bytes.withUnsafeReadableBytes { input in
        unsafe point(&stream, at: input)
        // One byte less than the input: what does not fit is not worth sending.
        unsafe stream.next_out = space.assumingMemoryBound(to: UInt8.self).baseAddress
        unsafe stream.avail_out = UInt32(length - 1)
        isComplete = unsafe deflate(&stream, Z_FINISH) == Z_STREAM_END
        return length - 1 - Int(unsafe stream.avail_out)
      }
    }
    if !isComplete { buffer.moveWriterIndex(to: start) }
    return isComplete
  }

  // MARK: Inflating

  /// The message that `bytes` hold. A gzip message may have several members (RFC 1952 2.2).
  ///
  /// - Parameter limit: of the result, in bytes, inclusive.
  package static func decompress(
    _ bytes: ByteBuffer, as format: Format, limit: Int
  ) throws(Failure) -> ByteBuffer {
    guard bytes.readableBytes < Int(Int32.max) else { throw .tooLarge }
    var stream = unsafe z_stream()
    let status = unsafe inflateInit2_(
      &stream, format.windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw .tooLarge }  // No memory for it.
    defer { unsafe inflateEnd(&stream) }
    let result: Result<ByteBuffer, Failure> = unsafe bytes.withUnsafeReadableBytes { input in
      unsafe point(&stream, at: input)
      do throws(Failure) {
        return .success(try unsafe inflateAll(&stream, format, length: input.count, limit: limit))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func inflateAll(
    _ stream: inout z_stream, _ format: Format, length: Int, limit: Int
  ) throws(Failure) -> ByteBuffer {
    var output = ByteBuffer()
    output.reserveCapacity(min(limit, max(512, length * 4)))
    // One byte more than the limit tells "as large as allowed" from "larger".
    var chunk = min(limit + 1, max(512, length * 4))
    while true {
      let status = unsafe inflateOnce(&stream, into: &output, room: min(chunk, limit + 1 - output.readableBytes))
      guard output.readableBytes <= limit else { throw .tooLarge }
      switch status {
      case Z_STREAM_END:
        guard unsafe stream.avail_in > 0 else { return output }
        guard format == .gzip, unsafe inflateReset(&stream) == Z_OK else { throw .corrupt }
      case Z_OK where unsafe stream.avail_in > 0 || stream.avail_out == 0:
        chunk = min(chunk * 2, 1024 * 1024)
      default: throw .corrupt  // Z_OK and Z_BUF_ERROR without input: it was cut off.
      }
    }
  }

  private static func inflateOnce(_ stream: inout z_stream, into output: inout ByteBuffer, room: Int) -> Int32 {
    var status = Z_OK
    unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
      unsafe stream.next_out = space.assumingMemoryBound(to: UInt8.self).baseAddress
      unsafe stream.avail_out = UInt32(room)
      status = unsafe inflate(&stream, Z_NO_FLUSH)
      return room - Int(unsafe stream.avail_out)
    }
    return status
  }

  /// zlib takes a mutable pointer but does not write through it.
  private static func point(_ stream: inout z_stream, at input: UnsafeRawBufferPointer) {
    unsafe stream.next_in = UnsafeMutablePointer(mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
    unsafe stream.avail_in = UInt32(input.count)
  }
}
