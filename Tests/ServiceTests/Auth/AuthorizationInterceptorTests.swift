import Identity
import RPC
import Testing

@testable import Auth

@Suite("Authorization interceptor")
struct AuthorizationInterceptorTests {
  private static let create = "/clinicavoice.patient.v1.PatientService/CreatePatient"

  private func call(_ path: String, as principal: Principal?) async throws {
    let context = ServerContext(
      path: path, requestMetadata: [:], deadline: nil, peer: Peer(address: "in-process"), authority: "test")
    context[PrincipalKey.self] = principal
    try await AuthorizationInterceptor(policy: .patientService).intercept(context) {}
  }

  @Test("a role of the table goes on")
  func allowed() async throws {
    try await call(Self.create, as: Principal(id: "a", role: .clinician))
  }

  @Test("an open method goes on without anybody")
  func open() async throws {
    try await call("/grpc.health.v1.Health/Check", as: nil)
  }

  @Test(
    "everybody else is refused",
    arguments: [nil, Principal(id: "a", role: .patient), Principal(id: "appointment-service", role: .service)])
  func refused(principal: Principal?) async throws {
    let error = await #expect(throws: RPCError.self) { try await call(Self.create, as: principal) }
    #expect(error?.code == .permissionDenied)
    #expect(error?.details == [.errorInfo(reason: "ROLE_NOT_ALLOWED", domain: "patient.clinicavoice")])
  }
}
