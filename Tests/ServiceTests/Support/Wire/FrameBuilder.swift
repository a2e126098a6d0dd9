/// HTTP/2 frames built by hand from RFC 9113, so that the session's oracle is not the session.
package struct FrameBuilder: Sendable {
  package enum Kind: UInt8 {
    case data = 0, headers, priority, rstStream, settings, pushPromise, ping, goAway, windowUpdate, continuation
  }

  package static let endStream: UInt8 = 0x1
  package static let ack: UInt8 = 0x1
  package static let endHeaders: UInt8 = 0x4

  package private(set) var bytes: [UInt8] = []

  package init(bytes: [UInt8] = []) { self.bytes = bytes }

  package static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  /// The client's preface and an empty SETTINGS.
  package static func clientStart() -> FrameBuilder {
    var builder = FrameBuilder()
    builder.bytes = preface
    builder.frame(.settings)
    return builder
  }

  package mutating func frame(_ kind: Kind, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) {
    unknownFrame(kind.rawValue, flags: flags, stream: stream, payload)
  }

  /// A frame of a type that may be none.
  package mutating func unknownFrame(
    _ kind: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []
  ) {
    let length = UInt32(payload.count)
    bytes += [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), kind, flags]
    bytes += Self.bigEndian(stream)
    bytes += payload
  }

  package mutating func headers(_ stream: UInt32, _ fields: [(String, String)], endStream: Bool = false) {
    let flags = Self.endHeaders | (endStream ? Self.endStream : 0)
    frame(.headers, flags: flags, stream: stream, Self.block(fields))
  }

  package mutating func data(_ stream: UInt32, _ payload: [UInt8], endStream: Bool = false) {
    frame(.data, flags: endStream ? Self.endStream : 0, stream: stream, payload)
  }

  package mutating func reset(_ stream: UInt32, _ code: UInt32) {
    frame(.rstStream, stream: stream, Self.bigEndian(code))
  }

  /// Literal fields without indexing and without Huffman coding (RFC 7541 6.2.2): needs no table.
  package static func block(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { name, value in [0] + string(name) + string(value) }
  }

  private static func string(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    if bytes.count < 127 { return [UInt8(bytes.count)] + bytes }
    var rest = bytes.count - 127
    var length: [UInt8] = [127]
    while rest >= 128 {
      length.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return length + [UInt8(rest)] + bytes
  }

  package static func bigEndian(_ value: UInt32) -> [UInt8] {
    [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
  }
}

/// A frame as it was on the wire. Header blocks stay encoded.
package struct ParsedFrame: Equatable, Sendable, CustomStringConvertible {
  package var kind: UInt8
  package var flags: UInt8
  package var stream: UInt32
  package var payload: [UInt8]

  package init(kind: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8]) {
    self.kind = kind
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  package var description: String { "frame(kind \(kind), flags \(flags), stream \(stream), \(payload.count) bytes)" }

  package static func parse(_ bytes: [UInt8]) -> [ParsedFrame] {
    var frames: [ParsedFrame] = []
    var rest = bytes[...]
    while rest.count >= 9 {
      let header = Array(rest.prefix(9))
      let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
      let stream = header[5...8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
      frames.append(
        ParsedFrame(kind: header[3], flags: header[4], stream: stream, payload: Array(rest.dropFirst(9).prefix(length)))
      )
      rest = rest.dropFirst(9 + length)
    }
    return frames
  }
}

extension UInt32 {
  package init(bigEndianBytes bytes: [UInt8]) { self = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
}
