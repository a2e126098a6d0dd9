import Foundation
import Logging
import Testing

@testable import Auth

@Suite("Key set")
struct KeySetTests {
  private static let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
  private static let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
  // RFC 7515, A.3.
  private static let good = #"{"kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(y)","kid":"a"}"#

  @Test(
    "is refused in words for the operator",
    arguments: [
      ("no JSON", "is not a JSON Web Key Set"),
      ("{\"keys\":[]}", "holds no RS256 or ES256 signature key"),
      ("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\"}]}", "holds no RS256 or ES256 signature key"),
      ("{\"keys\":[\(good),\(good)]}", "holds two keys with one \"kid\""),
      ("{\"keys\":[\(good.replacing(",\"kid\":\"a\"", with: ""))]}", "holds a key without a usable \"kid\""),
      ("{\"keys\":[\(good.replacing(y, with: x))]}", "holds a malformed ES256 key"),
      (
        // 1024 bits.
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"e\":\"AQAB\",\"n\":\"\(String(repeating: "v", count: 171))\"}]}",
        "holds a malformed RS256 key"
      ),
    ])
  func refused(json: String, text: String) async throws {
    let error = await #expect(throws: SigningKeySetError.self) { try await SigningKeySet(json: Array(json.utf8)) }
    #expect(error?.description == text)
  }

  @Test("takes 64 keys and no more")
  func bound() async throws {
    let keys = (0...64).map { Self.good.replacing("\"kid\":\"a\"", with: "\"kid\":\"\($0)\"") }
    let full = "{\"keys\":[\(keys.prefix(64).joined(separator: ","))]}"
    #expect(try await SigningKeySet(json: Array(full.utf8)).keys.count == 64)
    await #expect(throws: SigningKeySetError.self) {
      try await SigningKeySet(json: Array("{\"keys\":[\(keys.joined(separator: ","))]}".utf8))
    }
  }

  @Test(
    "the file is named in what is said of it",
    arguments: [
      ("/nonexistent/jwks.json", "The key set /nonexistent/jwks.json cannot be read."),
      (
        "https://issuer.example/jwks.json",
        "The key set https://issuer.example/jwks.json is a URL; this version reads key sets from files only."
      ),
    ])
  func missingFile(location: String, text: String) async throws {
    let error = await #expect(throws: KeySetFileError.self) {
      _ = try await KeySetFile(location, logger: Logger(label: "test"))
    }
    #expect(error?.description == text)
  }
}
