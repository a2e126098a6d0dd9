/// CRC-32C (Castagnoli), as of RFC 3720 appendix B.4: finds what a disk or a stray write did to stored bytes.
struct CRC32C: Sendable {
  private var state: UInt32 = ~0

  var value: UInt32 { ~state }

  mutating func update(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe update($0) } }

  /// Adds the UTF-8 bytes of `text` and an end mark, which no UTF-8 holds.
  mutating func update(_ text: String) {
    var copy = text
    copy.withUTF8 { unsafe update(UnsafeRawBufferPointer($0)) }
    step(0xFF)
  }

  mutating func update(_ number: Int64) {
    for shift in stride(from: 0, to: 64, by: 8) { step(UInt8(truncatingIfNeeded: number >> Int64(shift))) }
  }

  private mutating func step(_ byte: UInt8) {
    state = Self.tables[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8)
  }

  /// Eight bytes at a time by eight tables ("slicing by 8").
  private mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var crc = state
    var offset = 0
    unsafe Self.tables.withUnsafeBufferPointer { tables in
      while bytes.count - offset >= 8 {
        let word =
          unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(crc)
        crc = 0
        for lane in 0..<8 {
          let byte = Int(UInt8(truncatingIfNeeded: word >> UInt64(8 * lane)))
          crc ^= unsafe tables[(7 - lane) << 8 | byte]
        }
        offset += 8
      }
      while offset < bytes.count {
        crc = unsafe tables[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[offset])] ^ (crc >> 8)
        offset += 1
      }
    }
    state = crc
  }

  /// `tables[256 * n + b]`: the remainder of byte `b` followed by `n` zero bytes, polynomial 0x1EDC6F41 reflected.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      tables[byte] = (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 0 ? crc >> 1 : 0x82F6_3B78 ^ (crc >> 1) }
    }
    for index in 256..<tables.count {
      let shorter = tables[index - 256]
      tables[index] = tables[Int(UInt8(truncatingIfNeeded: shorter))] ^ (shorter >> 8)
    }
    return tables
  }()
}
