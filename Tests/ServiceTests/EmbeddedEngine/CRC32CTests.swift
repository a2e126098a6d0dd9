internal import Testing

@testable internal import EmbeddedEngine

@Suite("CRC-32C") struct CRC32CTests {
  // Source: RFC 3720, appendix B.4, and the check value of the CRC catalogue for CRC-32/ISCSI.
  @Test(
    "equals the published values",
    arguments: [
      ([UInt8]("123456789".utf8), 0xE306_9283), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
      ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), ([UInt8](0..<32), 0x46DD_794E),
      ([UInt8]((0..<32).reversed()), 0x113F_DB5C), ([], 0),
    ] as [([UInt8], UInt32)])
  func published(bytes: [UInt8], expected: UInt32) {
    var crc = CRC32C()
    crc.update(bytes)
    #expect(crc.value == expected)
  }
}
