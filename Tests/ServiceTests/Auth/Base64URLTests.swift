import Foundation
import Testing

@testable import Auth

@Suite("base64url")
struct Base64URLTests {
  @Test("equals Foundation's base64 in the other alphabet, both ways", arguments: 0..<70)
  func oracle(length: Int) throws {
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    let expected = Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
      .replacing("=", with: "")
    #expect(Base64URL.encode(bytes) == expected)
    #expect(Base64URL.decode(expected.utf8) == bytes)
  }

  @Test("refuses every other spelling", arguments: ["a", "YQ==", "YR", "YWJ+", "YWJ/", "Y W", "YWJjZ"])
  func refused(text: String) {
    #expect(Base64URL.decode(text.utf8) == nil)
  }
}
