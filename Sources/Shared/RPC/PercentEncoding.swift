/// How `grpc-message` travels: UTF-8, with everything but printable ASCII (and `%` itself) as `%XX`. Source: WIRE W31.
package enum PercentEncoding {
  /// Leading and trailing spaces are encoded as well, because HTTP/2 does not allow them in a value (WIRE 1.1a).
  package static func encode(_ text: String) -> [UInt8] {
    let bytes = text.utf8
    let hex = Array("0123456789ABCDEF".utf8)
    let space = UInt8(ascii: " ")
    let first = bytes.startIndex
    let last = bytes.isEmpty ? first : bytes.index(before: bytes.endIndex)
    var encoded: [UInt8] = []
    encoded.reserveCapacity(bytes.count)
    for index in bytes.indices {
      let byte = bytes[index]
      let isEdge = index == first || index == last
      switch byte {
      case space where isEdge: encoded += [UInt8(ascii: "%"), hex[2], hex[0]]
      case 0x20...0x24, 0x26...0x7E: encoded.append(byte)
      default: encoded += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return encoded
  }

  /// Never fails: a broken escape stays as it is, invalid UTF-8 becomes U+FFFD.
  package static func decode(_ bytes: some Collection<UInt8>) -> String {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
      let byte = bytes[index]
      let afterPercent = bytes.index(after: index)
      if byte == UInt8(ascii: "%"), let high = nibble(at: afterPercent, in: bytes) {
        let afterHigh = bytes.index(after: afterPercent)
        if let low = nibble(at: afterHigh, in: bytes) {
          decoded.append(high << 4 | low)
          index = bytes.index(after: afterHigh)
          continue
        }
      }
      decoded.append(byte)
      index = afterPercent
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  private static func nibble<Bytes: Collection<UInt8>>(at index: Bytes.Index, in bytes: Bytes) -> UInt8? {
    guard index < bytes.endIndex else { return nil }
    switch bytes[index] {
    case let digit where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit): return digit - UInt8(ascii: "0")
    case let digit where (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(digit): return digit - UInt8(ascii: "A") + 10
    case let digit where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(digit): return digit - UInt8(ascii: "a") + 10
    default: return nil
    }
  }
}
