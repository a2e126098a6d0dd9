/// The identifier of a resource: a UUID in canonical lower case.
///
/// Ids that we make are version 4 (RFC 9562, section 5.4). Ids that callers give may use either letter case and any
/// version, since imported records keep theirs. Source: DOMAIN 2.
package struct ResourceID: Sendable, Hashable, CustomStringConvertible {
  /// 36 characters: `550e8400-e29b-41d4-a716-446655440000`.
  package let description: String

  /// - Returns: `nil` unless `text` is a UUID in its 36-character form.
  package init?(_ text: String) {
    var canonical: [UInt8] = []
    canonical.reserveCapacity(36)
    for (index, byte) in text.utf8.enumerated() {
      switch (index, byte) {
      case (36..., _): return nil
      case (8, 0x2D), (13, 0x2D), (18, 0x2D), (23, 0x2D): canonical.append(byte)
      case (8, _), (13, _), (18, _), (23, _): return nil
      case (_, 0x30...0x39), (_, 0x61...0x66): canonical.append(byte)
      case (_, 0x41...0x46): canonical.append(byte | 0x20)
      default: return nil
      }
    }
    guard canonical.count == 36 else { return nil }
    description = String(decoding: canonical, as: UTF8.self)
  }

  /// A new random one.
  package init(random: RandomSource) {
    var bytes = random.bytes(16)
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    description = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { Hex.encode(bytes[$0]) }.joined(separator: "-")
  }
}

extension FieldViolations {
  /// The id in a required field; `nil` after having noted what is wrong with it.
  package mutating func id(_ text: String, at field: String) -> ResourceID? {
    if text.isEmpty {
      add(.required, at: field, "An id is required.")
      return nil
    }
    guard let id = ResourceID(text) else {
      add(.malformed, at: field, "An id is a UUID.")
      return nil
    }
    return id
  }

  /// The id in an optional field; `nil` when it is empty, or after having noted what is wrong with it.
  package mutating func optionalID(_ text: String, at field: String) -> ResourceID? {
    text.isEmpty ? nil : id(text, at: field)
  }
}
