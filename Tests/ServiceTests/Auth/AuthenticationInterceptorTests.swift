import Identity
import RPC
import Synchronization
import Testing

@testable import Auth

@Suite("Authentication interceptor")
struct AuthenticationInterceptorTests {
  private static let getPatient = "/clinicavoice.patient.v1.PatientService/GetPatient"
  private static let activate = "/clinicavoice.patient.v1.PatientService/ActivateAccount"
  private static let services = [
    ServiceDescriptor(
      name: "clinicavoice.patient.v1.PatientService", file: "p.proto", methods: ["GetPatient", "ActivateAccount"])
  ]
  private static let spiffe = "spiffe://clinicavoice/service/"

  private func token(_ name: String) throws -> String { try #require(TokenFixtures.shared.accepted[name]) }

  /// The principal after the interceptor; `nil` when it went on without one.
  private func principal(
    path: String = getPatient, _ metadata: Metadata = [:], certificateURIs: [String]? = nil,
    acceptsServiceTokens: Bool = false
  ) async throws -> Principal? {
    let verifier = try await VerifierFixture(acceptsServiceTokens: acceptsServiceTokens).verifier
    let interceptor = AuthenticationInterceptor(
      verifier: verifier, policy: .patientService, services: Self.services)
    let certificate = certificateURIs.map { PeerCertificate(uris: $0, dnsNames: ["localhost"]) }
    let context = ServerContext(
      path: path, requestMetadata: metadata, deadline: nil,
      peer: Peer(address: "in-process", certificate: certificate), authority: "test")
    let wentOn = Mutex(false)
    try await interceptor.intercept(context) { wentOn.withLock { $0 = true } }
    #expect(wentOn.withLock { $0 })
    return context[PrincipalKey.self]
  }

  private func refusal(
    path: String = getPatient, _ metadata: Metadata = [:], certificateURIs: [String]? = nil
  ) async throws -> RPCError {
    try #require(
      await #expect(throws: RPCError.self) {
        _ = try await principal(path: path, metadata, certificateURIs: certificateURIs)
      })
  }

  private func isUnauthenticated(_ error: RPCError, reason: String) -> Bool {
    error.code == .unauthenticated
      && error.details == [.errorInfo(reason: reason, domain: "patient.clinicavoice")]
  }

  @Test("a bearer token is a person, whatever the case of the scheme", arguments: ["Bearer", "bearer", "BEARER"])
  func bearer(scheme: String) async throws {
    let metadata: Metadata = ["authorization": .ascii("\(scheme) \(try token("clinician"))")]
    #expect(try await principal(metadata)?.role == .clinician)
  }

  @Test("a person's token is meant even if it comes over a service's connection")
  func personOverService() async throws {
    let metadata: Metadata = ["authorization": .ascii("Bearer \(try token("patient"))")]
    #expect(try await principal(metadata, certificateURIs: [Self.spiffe + "portal"])?.role == .patient)
  }

  @Test("a verified certificate is a service")
  func certificate() async throws {
    let uris = ["https://clinicavoice/service/x", Self.spiffe + "appointment-service"]
    #expect(try await principal(certificateURIs: uris) == Principal(id: "appointment-service", role: .service))
  }

  @Test("a service acts for the caller whose token it passes on")
  func onBehalfOf() async throws {
    let token = try token("delegate")
    let principal = try await principal(
      [IdentityMetadata.onBehalfOf: .ascii(token)], certificateURIs: [Self.spiffe + "appointment-service"])
    let caller = Principal.Caller(
      id: "3f0c1d2e-0000-4000-8000-000000000001", role: .delegate, actsFor: ["clinician-a", "clinician-b"])
    #expect(
      principal
        == Principal(
          id: "appointment-service", role: .service, onBehalfOf: caller, timeZone: "America/Bogota",
          forwardableToken: token))
  }

  @Test("a service in development may present a token instead of a certificate")
  func serviceToken() async throws {
    let metadata: Metadata = ["authorization": .ascii("Bearer \(try token("service"))")]
    #expect(try await principal(metadata, acceptsServiceTokens: true)?.id == "appointment-service")
  }

  @Test("nothing at all is missing credentials")
  func missing() async throws {
    #expect(isUnauthenticated(try await refusal(), reason: "CREDENTIALS_MISSING"))
  }

  @Test("a certificate that names no service is missing credentials", arguments: ["spiffe://other/service/a", "x"])
  func otherCertificate(uri: String) async throws {
    #expect(isUnauthenticated(try await refusal(certificateURIs: [uri]), reason: "CREDENTIALS_MISSING"))
  }

  @Test(
    "a certificate that names something odd is invalid",
    arguments: [
      [""], ["a/b"], ["A"], ["appointment-service?x"], ["a", "b"], [String(repeating: "a", count: 64)],
    ])
  func oddCertificate(names: [String]) async throws {
    let error = try await refusal(certificateURIs: names.map { Self.spiffe + $0 })
    #expect(isUnauthenticated(error, reason: "CREDENTIALS_INVALID"))
  }

  @Test("x-forwarded-client-cert is nobody's identity")
  func forwardedCertificate() async throws {
    let metadata: Metadata = ["x-forwarded-client-cert": "URI=spiffe://clinicavoice/service/appointment-service"]
    #expect(isUnauthenticated(try await refusal(metadata), reason: "CREDENTIALS_MISSING"))
  }

  @Test(
    "an authorization that is not one bearer token is invalid",
    arguments: ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer not.a.token", "Bearer a b"])
  func oddAuthorization(value: String) async throws {
    let metadata: Metadata = ["authorization": .ascii(value)]
    #expect(isUnauthenticated(try await refusal(metadata), reason: "CREDENTIALS_INVALID"))
  }

  @Test("two authorizations are invalid")
  func twoAuthorizations() async throws {
    let bearer = Metadata.Value.ascii("Bearer \(try token("clinician"))")
    let error = try await refusal(["authorization": bearer, "authorization": bearer])
    #expect(isUnauthenticated(error, reason: "CREDENTIALS_INVALID"))
  }

  @Test("an invalid token does not fall back to the certificate")
  func noFallback() async throws {
    let error = try await refusal(
      ["authorization": "Bearer a.b.c"], certificateURIs: [Self.spiffe + "appointment-service"])
    #expect(isUnauthenticated(error, reason: "CREDENTIALS_INVALID"))
  }

  @Test("an expired token says so, and says nothing of itself")
  func expired() async throws {
    let token = try #require(TokenFixtures.shared.refused["expired"])
    let error = try await refusal(["authorization": .ascii("Bearer \(token)")])
    #expect(isUnauthenticated(error, reason: "CREDENTIALS_EXPIRED"))
    #expect(!error.message.contains(token.prefix(8)))
  }

  @Test("a token passed on is verified again", arguments: ["expired", "wrongSignature.otherKey", "wrongIssuer.other"])
  func badOnBehalfOf(name: String) async throws {
    let token = try #require(TokenFixtures.shared.refused[name])
    let error = try await refusal(
      [IdentityMetadata.onBehalfOf: .ascii(token)], certificateURIs: [Self.spiffe + "appointment-service"])
    #expect(error.code == .unauthenticated)
  }

  @Test("a person cannot act for another")
  func personOnBehalfOf() async throws {
    let token = try token("clinician")
    let error = try await refusal(
      ["authorization": .ascii("Bearer \(token)"), IdentityMetadata.onBehalfOf: .ascii(token)])
    #expect(isUnauthenticated(error, reason: "CREDENTIALS_INVALID"))
  }

  @Test("an open method needs no credentials and reads none")
  func open() async throws {
    #expect(try await principal(path: Self.activate, ["authorization": "Bearer nonsense"]) == nil)
  }

  @Test(
    "a path that the server does not have ends here",
    arguments: [
      "clinicavoice.patient.v1.PatientService/GetPatient", "/clinicavoice.patient.v1.PatientService/getPatient",
      "/clinicavoice.patient.v1.PatientService/CreatePatient", "/grpc.health.v1.Health/Check",
    ])
  func unknownPath(path: String) async throws {
    let error = try await refusal(path: path)
    #expect(error.code == .unimplemented)
  }
}
