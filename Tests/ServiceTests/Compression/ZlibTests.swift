import Compression
import NIOCore
import TestSupport
import Testing

@Suite("zlib's formats")
struct ZlibTests {
  /// What Python's `gzip.compress(b"hello hello hello hello", mtime=0)` and `zlib.compress` of the same give.
  static let gzipHello: [UInt8] = [
    0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40,
    0x27, 0x01, 0xE3, 0x51, 0x3D, 0x8D, 0x17, 0x00, 0x00, 0x00,
  ]
  static let zlibHello: [UInt8] = [
    0x78, 0x9C, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40, 0x27, 0x01, 0x68, 0x03, 0x08, 0xB1,
  ]
  static let hello = Array("hello hello hello hello".utf8)

  static func inflate(_ bytes: [UInt8], _ format: Zlib.Format, limit: Int = 1 << 20) throws -> [UInt8] {
    Array(buffer: try Zlib.decompress(ByteBuffer(bytes: bytes), as: format, limit: limit))
  }

  @Test(
    "W20: what another implementation compressed is read",
    arguments: [(gzipHello, .gzip), (zlibHello, .zlib)] as [([UInt8], Zlib.Format)])
  func foreignBytes(bytes: [UInt8], format: Zlib.Format) throws {
    #expect(try Self.inflate(bytes, format) == Self.hello)
  }

  @Test("a gzip message of two members is both, one after the other (RFC 1952 2.2)")
  func members() throws {
    #expect(try Self.inflate(Self.gzipHello + Self.gzipHello, .gzip) == Self.hello + Self.hello)
  }

  @Test("W20: bytes cut off anywhere are corrupt", arguments: 0..<28)
  func truncated(length: Int) {
    #expect(throws: Zlib.Failure.corrupt) { try Self.inflate(Array(Self.gzipHello.prefix(length)), .gzip) }
  }

  @Test(
    "W20: bytes of the other format, followed by more, or with a wrong checksum are corrupt",
    arguments: [(gzipHello, .zlib), (zlibHello, .gzip), (zlibHello + [0], .zlib), (gzipHello + [0], .gzip)]
      as [([UInt8], Zlib.Format)])
  func corrupt(bytes: [UInt8], format: Zlib.Format) {
    #expect(throws: Zlib.Failure.corrupt) { try Self.inflate(bytes, format) }
  }

  @Test("a flipped bit is corrupt, or does not matter (a header's time and system)", arguments: 0..<224)
  func flippedBit(bit: Int) throws {
    var bytes = Self.gzipHello
    bytes[bit / 8] ^= 1 << (bit % 8)
    let result = try? Self.inflate(bytes, .gzip)
    #expect(result == nil || result == Self.hello)
  }

  @Test("W22: the limit is inclusive")
  func limit() throws {
    #expect(try Self.inflate(Self.gzipHello, .gzip, limit: 23) == Self.hello)
    #expect(throws: Zlib.Failure.tooLarge) { try Self.inflate(Self.gzipHello, .gzip, limit: 22) }
    #expect(throws: Zlib.Failure.tooLarge) { try Self.inflate(Self.gzipHello, .gzip, limit: 0) }
  }

  @Test("W22: a bomb is given up at the limit, without its bytes being held")
  func bomb() {
    var compressed = ByteBuffer()
    #expect(Zlib.compress(ByteBuffer(repeating: 0, count: 50 << 20), as: .gzip, into: &compressed))
    #expect(compressed.readableBytes < 64 << 10)
    #expect(throws: Zlib.Failure.tooLarge) { try Zlib.decompress(compressed, as: .gzip, limit: 1 << 20) }
  }

  @Test("W19: inflating gives back what was compressed", arguments: 0..<40)
  func roundTrip(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    let length = Int.random(in: 1...100_000, using: &generator)
    let symbols = UInt8.random(in: 1...40, using: &generator)
    let message = ByteBuffer(bytes: (0..<length).map { _ in UInt8.random(in: 0...symbols, using: &generator) })
    let format = Zlib.Format.allCases[seed % 2]
    var compressed = ByteBuffer(string: "before")
    let isShorter = Zlib.compress(message, as: format, into: &compressed)
    #expect(compressed.readString(length: 6) == "before")
    #expect(isShorter == (compressed.readableBytes > 0))
    if isShorter { #expect(try Zlib.decompress(compressed, as: format, limit: length) == message) }
  }

  @Test("what does not become shorter is left alone", arguments: [0, 1, 10])
  func incompressible(length: Int) {
    var compressed = ByteBuffer()
    #expect(!Zlib.compress(ByteBuffer(bytes: (0..<length).map { UInt8($0) }), as: .gzip, into: &compressed))
    #expect(compressed.readableBytes == 0)
  }
}
