import Crypto
import Foundation
import Identity
import Logging
import Subprocess
import Testing

@testable import Auth

@Suite("Development tokens")
struct DevTokenSignerTests {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../../deploy/scripts/make-dev-pki").standardizedFileURL

  private static let otherCurve = P384.Signing.PrivateKey().pemRepresentation

  /// Runs the script that makes the development PKI, with openssl.
  private func makePKI(in directory: TemporaryDirectory) async throws {
    let result = try await Subprocess.run(
      .path(.init(Self.script.path)), arguments: [directory.url.path], output: .discarded)
    #expect(result.terminationStatus.isSuccess)
  }

  @Test("a signed token is verified with the key set that openssl wrote")
  func roundTrip() async throws {
    let directory = try TemporaryDirectory()
    try await makePKI(in: directory)
    let pem = try String(contentsOf: directory.url.appending(path: "jwt-signing-key.pem"), encoding: .utf8)
    let signer = try await DevTokenSigner(pem: pem)
    let keys = try await KeySetFile(
      directory.url.appending(path: "jwks.json").path, logger: Logger(label: "test"))
    let verifier = TokenVerifier(
      rules: TokenRules(issuer: DevTokenSigner.issuer, audiences: [DevTokenSigner.audience]), keys: keys,
      epochSeconds: { 1_000_000 })
    let subject = DevTokenSigner.Subject(
      id: "front-desk", role: .delegate, actsFor: ["clinician-a"], timeZone: "America/Bogota")
    let token = try signer.sign(subject, now: 1_000_000, seconds: 3600)
    let expected = Principal(
      id: "front-desk", role: .delegate, actsFor: ["clinician-a"], timeZone: "America/Bogota",
      forwardableToken: token)
    #expect(try await verifier.verify(token) == expected)
  }

  @Test("a second run of the script keeps every file, and keys are the owner's alone")
  func idempotent() async throws {
    let directory = try TemporaryDirectory()
    try await makePKI(in: directory)
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.url.path).sorted()
    #expect(
      names == [
        "appointment-service.key", "appointment-service.pem", "ca.key", "ca.pem", "jwks.json", "jwt-signing-key.pem",
        "patient-service.key", "patient-service.pem", "store.key",
      ])
    let before = try names.map { try Data(contentsOf: directory.url.appending(path: $0)) }
    try await makePKI(in: directory)
    #expect(try names.map { try Data(contentsOf: directory.url.appending(path: $0)) } == before)
    for name in names where name.contains("key") {
      let attributes = try FileManager.default.attributesOfItem(atPath: directory.url.appending(path: name).path)
      #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
    }
  }

  @Test(
    "a file without a P-256 key is refused", arguments: ["", "nonsense", otherCurve])
  func noKey(pem: String) async throws {
    await #expect(throws: DevTokenError.self) { _ = try await DevTokenSigner(pem: pem) }
  }
}
