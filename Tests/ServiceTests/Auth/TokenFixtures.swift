import Foundation
import Identity
import Logging
import NIOCore
import Synchronization

@testable import Auth

/// Keys and tokens that PyJWT made; see Fixtures/auth/make_tokens.py.
struct TokenFixtures: Decodable {
  let accepted: [String: String]
  /// By the fault that each must be refused with, and after a dot the variant.
  let refused: [String: String]

  static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/auth")

  static let shared: TokenFixtures = {
    do {
      return try JSONDecoder().decode(TokenFixtures.self, from: data)
    } catch {
      // Without its fixtures the suite means nothing; the tests that look for a token say so.
      return TokenFixtures(accepted: [:], refused: [:])
    }
  }()

  private static var data: Data {
    get throws { try Data(contentsOf: directory.appending(path: "tokens.json")) }
  }

  /// The key set stored under `name`, as the bytes of a JSON Web Key Set.
  static func keySet(_ name: String = "jwks") throws -> Data {
    let document = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    return try JSONSerialization.data(withJSONObject: document?[name] ?? [:])
  }

  init(accepted: [String: String], refused: [String: String]) {
    self.accepted = accepted
    self.refused = refused
  }
}

/// A directory that goes away with the test.
final class TemporaryDirectory: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "clinicavoice-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func write(_ data: Data, to name: String) throws -> String {
    let file = url.appending(path: name)
    try data.write(to: file, options: .atomic)
    return file.path
  }
}

/// A clock that a test sets.
final class ManualClock: Sendable {
  private let seconds: Mutex<Int64>

  /// 2030-01-01T00:00:00Z: long before the fixtures end.
  init(_ seconds: Int64 = 1_893_456_000) { self.seconds = Mutex(seconds) }

  func advance(by seconds: Int64) { self.seconds.withLock { $0 += seconds } }

  var epochSeconds: @Sendable () -> Int64 { { self.seconds.withLock { $0 } } }
  var deadline: @Sendable () -> NIODeadline {
    { NIODeadline.uptimeNanoseconds(UInt64(self.seconds.withLock { $0 }) * 1_000_000_000) }
  }
}

/// A verifier over the fixtures' keys, with everything that a test may change.
struct VerifierFixture {
  let directory: TemporaryDirectory
  let clock = ManualClock()
  let verifier: TokenVerifier

  init(acceptsServiceTokens: Bool = false, capacity: Int = 16) async throws {
    directory = try TemporaryDirectory()
    let path = try directory.write(try TokenFixtures.keySet(), to: "jwks.json")
    let keys = try await KeySetFile(path, logger: Logger(label: "test"), now: clock.deadline)
    let rules = TokenRules(
      issuer: "https://issuer.example/pool", audiences: ["portal"], acceptsServiceTokens: acceptsServiceTokens)
    verifier = TokenVerifier(rules: rules, keys: keys, capacity: capacity, epochSeconds: clock.epochSeconds)
  }

  func replaceKeys(_ data: Data) throws { _ = try directory.write(data, to: "jwks.json") }
}
