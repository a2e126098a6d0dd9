internal import Compression
internal import NIOCore

/// How a message's bytes are compressed: what `grpc-encoding` names. Source: gRPC compression.md; WIRE W18–W22.
package enum MessageEncoding: UInt8, Sendable, Hashable, CaseIterable {
  case identity, deflate, gzip

  /// The value of `grpc-accept-encoding`: all that this runtime can read.
  package static let supported: StaticString = "identity,deflate,gzip"

  package var name: StaticString {
    switch self {
    case .identity: "identity"
    case .deflate: "deflate"
    case .gzip: "gzip"
    }
  }

  /// The encoding of that name; `nil` when it is not supported (W20).
  package init?(name: UnsafeBufferPointer<UInt8>) {
    guard let encoding = Self.allCases.first(where: { name.isEqual(to: $0.name) }) else { return nil }
    self = encoding
  }

  private var format: Zlib.Format? {
    switch self {
    case .identity: nil
    case .deflate: .zlib
    case .gzip: .gzip
    }
  }

  /// Appends the compressed bytes, if they are shorter than the message and the encoding compresses at all.
  func compress(_ message: ByteBuffer, into buffer: inout ByteBuffer) -> Bool {
    format.map { Zlib.compress(message, as: $0, into: &buffer) } ?? false
  }

  /// - Parameter limit: of the result, in bytes, inclusive; `nil` is returned when it is larger.
  /// - Throws: `INTERNAL` when the bytes are not of this encoding (W20).
  func decompress(_ payload: ByteBuffer, limit: Int) throws(RPCError) -> ByteBuffer? {
    // Zero bytes are a message of no bytes, whatever the flag says (W19).
    guard let format, payload.readableBytes > 0 else { return payload }
    do throws(Zlib.Failure) {
      return try Zlib.decompress(payload, as: format, limit: limit)
    } catch {
      switch error {
      case .tooLarge: return nil
      case .corrupt: throw RPCError(.internal, "A message is not valid \(name); its grpc-encoding says so.")
      }
    }
  }
}

/// The encodings that a peer can read: what its `grpc-accept-encoding` lists. `identity` always is (W21).
package struct AcceptedEncodings: Sendable, Hashable {
  /// One bit for each encoding, at the place of its raw value.
  private var bits: UInt8 = 1 << MessageEncoding.identity.rawValue

  package init() {}

  /// Adds what a list names; names that are not known here are passed over.
  package mutating func formUnion(list: UnsafeBufferPointer<UInt8>) {
    let comma = UInt8(ascii: ",")
    let space = UInt8(ascii: " ")
    var start = list.startIndex
    while start < list.endIndex {
      var end = start
      while end < list.endIndex, list[end] != comma { end += 1 }
      var last = end
      while start < last, list[start] == space { start += 1 }
      while last > start, list[last - 1] == space { last -= 1 }
      if let encoding = MessageEncoding(name: UnsafeBufferPointer(rebasing: list[start..<last])) {
        bits |= 1 << encoding.rawValue
      }
      start = end + 1
    }
  }

  package func contains(_ encoding: MessageEncoding) -> Bool {
    bits & 1 << encoding.rawValue != 0
  }

  package var hasOnlyIdentity: Bool { self == Self() }
}
