import Identity
import RPC
import ServiceTestSupport
import Testing

@testable import ServiceCore

@Suite("Ids and partitions (DOMAIN 1, 2)")
struct IdentityTests {
  private let errors = ServiceErrors(domain: .patient)

  @Test("ids are read in any letter case and written in lower case")
  func canonical() {
    #expect(
      ResourceID("550E8400-e29b-41D4-A716-446655440000")?.description == "550e8400-e29b-41d4-a716-446655440000")
  }

  @Test(
    "anything else is no id",
    arguments: [
      "550e8400e29b41d4a716446655440000", "{550e8400-e29b-41d4-a716-446655440000}",
      "550e8400-e29b-41d4-a716-44665544000", "550e8400-e29b-41d4-a716-4466554400000",
      "550e8400-e29b-41d4-a716-44665544000g", "550e8400-e29b-41d4-a716_446655440000",
      "550e8400-e29b-41d4a-716-446655440000",
      " 550e8400-e29b-41d4-a716-446655440000", "５50e8400-e29b-41d4-a716-446655440000",
    ])
  func malformed(text: String) {
    var violations = FieldViolations()
    #expect(violations.id(text, at: "patient_id") == nil)
    #expect(violations.all.map(\.reason) == ["MALFORMED"])
  }

  @Test("a missing id is required, a missing optional id is not")
  func missing() {
    var violations = FieldViolations()
    #expect(violations.optionalID("", at: "request_id") == nil)
    #expect(violations.isEmpty)
    #expect(violations.id("", at: "patient_id") == nil)
    #expect(violations.all.map(\.reason) == ["REQUIRED"])
  }

  @Test("ids that we make are random UUIDs of version 4")
  func made() throws {
    let random = RandomSource.seeded(1)
    let ids = (0..<1000).map { _ in ResourceID(random: random).description }
    #expect(Set(ids).count == 1000)
    for id in ids {
      #expect(ResourceID(id)?.description == id)
      let characters = Array(id)
      #expect(characters[14] == "4")
      #expect("89ab".contains(characters[19]))
    }
  }

  private func scope(
    _ requested: String, _ principal: Principal, roles: Set<Principal.Role> = Set(Principal.Role.allCases)
  ) -> String {
    var violations = FieldViolations()
    do {
      let scope = try ClinicianScope(
        requested: requested, principal: principal, roles: roles, errors: errors, violations: &violations)
      if !violations.isEmpty { return violations.all.map { "\($0.field) \($0.reason)" }.joined() }
      return "\(scope.userId) by \(scope.actor)\(scope.linkedIdentity.map { " linked \($0)" } ?? "")"
    } catch { return error.summary }
  }

  private static let clinician = Principal(id: "c1", role: .clinician)
  private static let delegate = Principal(id: "d", role: .delegate, actsFor: ["c1", "c2"])
  private static let patient = Principal(id: "sub", role: .patient)
  private static let service = Principal(id: "appointment-service", role: .service)
  private static func service(for caller: Principal.Caller) -> Principal {
    Principal(id: "appointment-service", role: .service, onBehalfOf: caller)
  }

  @Test(
    "the partition follows from the caller (DOMAIN 1)",
    arguments: [
      ("", clinician, "c1 by c1"), ("c1", clinician, "c1 by c1"),
      ("c2", clinician, "PERMISSION_DENIED PARTITION_NOT_ALLOWED"),
      ("", delegate, "user_id REQUIRED"), ("c2", delegate, "c2 by d"),
      ("c3", delegate, "PERMISSION_DENIED PARTITION_NOT_ALLOWED"),
      ("d", delegate, "PERMISSION_DENIED PARTITION_NOT_ALLOWED"),
      ("", patient, "user_id REQUIRED"), ("c1", patient, "c1 by sub linked sub"),
      ("", service, "user_id REQUIRED"), ("c1", service, "c1 by appointment-service"),
      ("c1", service(for: .init(id: "c1", role: .clinician)), "c1 by c1"),
      ("", service(for: .init(id: "c1", role: .clinician)), "user_id REQUIRED"),
      ("c2", service(for: .init(id: "c1", role: .clinician)), "PERMISSION_DENIED PARTITION_NOT_ALLOWED"),
      ("c2", service(for: .init(id: "d", role: .delegate, actsFor: ["c2"])), "c2 by d"),
      (
        "c1", service(for: .init(id: "d", role: .delegate, actsFor: ["c2"])),
        "PERMISSION_DENIED PARTITION_NOT_ALLOWED"
      ),
      ("c1", service(for: .init(id: "sub", role: .patient)), "c1 by sub linked sub"),
    ])
  func partitions(requested: String, principal: Principal, expected: String) {
    #expect(scope(requested, principal) == expected)
  }

  @Test("a role that may not call is refused before anything else", arguments: ["", "c1", "c2"])
  func roles(requested: String) {
    for principal in [Self.patient, Self.service] {
      #expect(
        scope(requested, principal, roles: [.clinician, .delegate]) == "PERMISSION_DENIED ROLE_NOT_ALLOWED")
    }
  }

  @Test("the name of a clinician is bounded")
  func longUserId() {
    #expect(scope(String(repeating: "c", count: 128), Self.service).hasPrefix("ccc"))
    #expect(scope(String(repeating: "c", count: 129), Self.service) == "user_id TOO_LONG")
  }
}
