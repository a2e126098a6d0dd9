import Foundation
import Identity
import JWTKit
import Logging
import Testing

@testable import Auth

@Suite("Token verifier")
struct TokenVerifierTests {
  private let subject = "3f0c1d2e-0000-4000-8000-000000000001"

  private func token(_ name: String) throws -> String { try #require(TokenFixtures.shared.accepted[name]) }

  @Test(
    "accepts ES256 and RS256, ID and access tokens",
    arguments: ["clinician", "clinicianRS256", "idWithAudienceList", "accessWithAudience"])
  func accepted(name: String) async throws {
    let token = try token(name)
    let principal = try await VerifierFixture().verifier.verify(token)
    #expect(principal == Principal(id: subject, role: .clinician, forwardableToken: token))
  }

  @Test("a delegate acts for the clinicians of its list", arguments: ["delegate", "delegateWithTextList"])
  func delegate(name: String) async throws {
    let principal = try await VerifierFixture().verifier.verify(try token(name))
    #expect(principal.role == .delegate)
    #expect(principal.actsFor == ["clinician-a", "clinician-b"])
  }

  @Test("takes the zone of the token")
  func zone() async throws {
    let principal = try await VerifierFixture().verifier.verify(try token("patient"))
    #expect(principal.role == .patient)
    #expect(principal.timeZone == "Europe/Madrid")
  }

  @Test("a zone that is no name is left out")
  func oddZone() async throws {
    #expect(try await VerifierFixture().verifier.verify(try token("oddZone")).timeZone == nil)
  }

  @Test("a service token passes only where it is allowed, and is not for others")
  func serviceToken() async throws {
    let principal = try await VerifierFixture(acceptsServiceTokens: true).verifier.verify(try token("service"))
    #expect(principal == Principal(id: "appointment-service", role: .service))
  }

  @Test("refuses what is wrong, each for its reason", arguments: TokenFixtures.shared.refused.keys.sorted())
  func refused(name: String) async throws {
    let token = try #require(TokenFixtures.shared.refused[name])
    let fault = try #require(CredentialFault(rawValue: String(name.prefix { $0 != "." })))
    let fixture = try await VerifierFixture()
    await #expect(throws: fault) { try await fixture.verifier.verify(token) }
    #expect(fixture.verifier.rememberedCount == 0)
  }

  @Test("the fixtures are there")
  func fixtures() {
    #expect(TokenFixtures.shared.refused.count >= 40)
    #expect(TokenFixtures.shared.accepted.count >= 10)
  }

  @Test("a token of 8 KiB is looked at, a longer one is not")
  func length() async throws {
    let fixture = try await VerifierFixture()
    await #expect(throws: CredentialFault.malformed) {
      try await fixture.verifier.verify(String(repeating: "a", count: TokenLimits.tokenBytes))
    }
    await #expect(throws: CredentialFault.tooLong) {
      try await fixture.verifier.verify(String(repeating: "a", count: TokenLimits.tokenBytes + 1))
    }
  }

  @Test("a remembered token ends at its expiry plus the leeway")
  func expiryOfRemembered() async throws {
    let fixture = try await VerifierFixture()
    let token = try token("clinician")
    _ = try await fixture.verifier.verify(token)
    let expiry: Int64 = 7_258_118_400 + 30
    fixture.clock.advance(by: expiry - 1 - fixture.clock.epochSeconds())
    _ = try await fixture.verifier.verify(token)
    fixture.clock.advance(by: 1)
    await #expect(throws: CredentialFault.expired) { try await fixture.verifier.verify(token) }
  }

  @Test("remembers no more tokens than its bound")
  func bounded() async throws {
    let fixture = try await VerifierFixture(capacity: 3)
    for name in ["clinician", "clinicianRS256", "delegate", "patient", "oddZone", "clinician"] {
      _ = try await fixture.verifier.verify(try token(name))
    }
    #expect(fixture.verifier.rememberedCount == 3)
  }

  @Test("follows a rotation of the keys, also for tokens it remembers")
  func rotation() async throws {
    let fixture = try await VerifierFixture()
    let (old, new) = (try token("clinician"), try token("secondKey"))
    _ = try await fixture.verifier.verify(old)
    await #expect(throws: CredentialFault.unknownKey) { try await fixture.verifier.verify(new) }
    try fixture.replaceKeys(try TokenFixtures.keySet("rotatedJWKS"))
    // Not looked at more than once a second.
    _ = try await fixture.verifier.verify(old)
    fixture.clock.advance(by: 1)
    _ = try await fixture.verifier.verify(new)
    await #expect(throws: CredentialFault.unknownKey) { try await fixture.verifier.verify(old) }
  }

  @Test("a key set that became unreadable leaves the last good keys in force", arguments: ["", "{\"keys\":[]}"])
  func brokenRotation(content: String) async throws {
    let fixture = try await VerifierFixture()
    try fixture.replaceKeys(Data(content.utf8))
    fixture.clock.advance(by: 2)
    #expect(try await fixture.verifier.verify(try token("clinician")).id == subject)
  }
}
