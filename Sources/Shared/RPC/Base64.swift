/// Base64 with the standard alphabet, as `-bin` metadata uses it. Source: RFC 4648 section 4; WIRE W15.
package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let invalid: UInt8 = 0xFF
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: invalid, count: 256)
    for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
  }()

  /// Without padding, as gRPC asks of senders.
  package static func encode(_ bytes: some Collection<UInt8>) -> [UInt8] {
    var encoded: [UInt8] = []
    encoded.reserveCapacity((bytes.count * 4 + 2) / 3)
    var bits: UInt32 = 0
    var bitCount = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      bitCount += 8
      while bitCount >= 6 {
        bitCount -= 6
        encoded.append(alphabet[Int(bits >> UInt32(bitCount) & 63)])
      }
    }
    if bitCount > 0 { encoded.append(alphabet[Int(bits << UInt32(6 - bitCount) & 63)]) }
    return encoded
  }

  /// Accepts padded and unpadded input; `nil` when it is neither.
  package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    let padding = UInt8(ascii: "=")
    var decoded: [UInt8] = []
    decoded.reserveCapacity(text.count * 3 / 4)
    var bits: UInt32 = 0
    var letters = 0
    var paddings = 0
    for letter in text {
      if letter == padding {
        paddings += 1
        continue
      }
      let value = values[Int(letter)]
      guard value != invalid, paddings == 0 else { return nil }
      bits = bits << 6 | UInt32(value)
      letters += 1
      switch letters % 4 {
      case 2: decoded.append(UInt8(truncatingIfNeeded: bits >> 4))
      case 3: decoded.append(UInt8(truncatingIfNeeded: bits >> 2))
      case 0: decoded.append(UInt8(truncatingIfNeeded: bits))
      default: break
      }
    }
    let isWhole = letters % 4 != 1
    let isPaddedRight = paddings == 0 || (paddings <= 2 && (letters + paddings) % 4 == 0)
    return isWhole && isPaddedRight ? decoded : nil
  }
}
