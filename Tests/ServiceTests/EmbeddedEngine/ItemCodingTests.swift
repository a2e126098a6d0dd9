internal import Storage
internal import Testing

@testable internal import EmbeddedEngine

@Suite("Item coding") struct ItemCodingTests {
  private static let item: Item = [
    "b": .list([.null, .bool(true), .bool(false), .number(-1), .binary([7])]), "a": .map(["k": "é"]), "n": 300,
  ]
  /// Worked out by hand from the description in `ItemCoding`: version 1; 3 entries; "a": map of 1, "k": string of 2
  /// bytes; "b": list of 5; "n": 300, zigzag 600 = 0xD8 0x04.
  private static let bytes: [UInt8] = [
    1, 3, 1, 0x61, 7, 1, 1, 0x6B, 4, 2, 0xC3, 0xA9, 1, 0x62, 6, 5, 0, 2, 1, 3, 1, 5, 1, 7, 1, 0x6E, 3, 0xD8, 0x04,
  ]

  @Test("the form is the one that is written down")
  func form() throws {
    #expect(ItemCoding.encode(Self.item) == Self.bytes)
    #expect(try ItemCoding.decode(Self.bytes) == Self.item)
  }

  @Test("a form cut anywhere, or with a byte more, is refused")
  func truncation() {
    for count in 0..<Self.bytes.count {
      #expect(throws: ByteDecoder.Malformed.self) { try ItemCoding.decode(Array(Self.bytes.prefix(count))) }
    }
    #expect(throws: ByteDecoder.Malformed.self) { try ItemCoding.decode(Self.bytes + [0]) }
  }

  @Test(
    "malformed bytes are refused",
    arguments: [
      [2, 0], [1, 1, 1, 0x61, 8], [1, 1, 1, 0xFF, 0], [1, 2, 1, 0x61, 0, 1, 0x61, 0],
      [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [1, 1, 1, 0x61, 4, 2, 0xC3, 0x28],
      [1, 1, 1, 0x61, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
      [1, 1, 1, 0x61] + [UInt8](repeating: 6, count: 1) + Array(repeating: [1, 6] as [UInt8], count: 40).joined() + [0],
    ] as [[UInt8]])
  func malformed(bytes: [UInt8]) {
    #expect(throws: ByteDecoder.Malformed.self) { try ItemCoding.decode(bytes) }
  }

  @Test("every number comes back", arguments: [0, 1, -1, 63, 64, -64, -65, .max, .min] as [Int64])
  func numbers(value: Int64) throws {
    #expect(try ItemCoding.decode(ItemCoding.encode(["n": .number(value)])) == ["n": .number(value)])
  }
}
