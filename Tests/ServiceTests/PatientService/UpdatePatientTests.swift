import CivilTime
import Contract
import Identity
import RPC
import ServiceCore
import ServiceTestSupport
import StandardProtos
import Storage
import Testing

@testable import PatientService

@Suite("UpdatePatient, DeactivatePatient, ReactivatePatient (DOMAIN 2, 8)")
struct UpdatePatientTests {
  private let requestId = "550e8400-e29b-41d4-a716-446655440000"

  private func update(
    _ id: String, _ mask: [String]?, in fixture: PatientFixture, by principal: Principal = PatientFixture.clinician,
    etag: String = "", requestId: String = "", edit: (inout PatientV1.Patient) -> Void = { _ in }
  ) async throws -> PatientV1.Patient {
    var request = PatientV1.UpdatePatientRequest()
    request.patient = .init()
    request.patient?.id = id
    if var patient = request.patient {
      edit(&patient)
      request.patient = patient
    }
    if let mask {
      request.updateMask = .init()
      request.updateMask?.paths = mask
    }
    request.etag = etag
    request.requestId = requestId
    let response = try await fixture.handlers.updatePatient(
      request, context: .forTest(by: principal, path: "/p/UpdatePatient"))
    return try #require(response.patient)
  }

  private static func address(_ city: String = "Toronto") -> PatientV1.Address {
    var address = PatientV1.Address()
    (address.street, address.city, address.province) = ("1 Main St", city, "ON")
    (address.postalCode, address.country) = ("M1A 1A1", "Canada")
    return address
  }

  @Test("masked fields change, others do not; version and updated_at grow")
  func masked() async throws {
    let fixture = try PatientFixture()
    let old = try await fixture.create()
    let new = try await update(old.id.uppercased(), ["last_name", "gender"], in: fixture) {
      $0.lastName = " Smith "
      $0.gender = .other
      $0.firstName = "Ignored"
      $0.status = .inactive
    }
    var expected = old
    (expected.lastName, expected.gender, expected.version, expected.etag) = ("Smith", .other, 2, "\"2\"")
    // The clock stands still: one microsecond later.
    expected.updatedAt?.nanos = 1000
    #expect(new == expected)
    #expect(try await fixture.get(old.id).patient == expected)
  }

  @Test("without a mask the populated fields are meant")
  func noMask() async throws {
    let fixture = try PatientFixture()
    let old = try await fixture.create()
    let new = try await update(old.id, nil, in: fixture) {
      $0.phone = "4165550000"
      $0.mrn = old.mrn.lowercased()
    }
    #expect(new.phone == "4165550000" && new.firstName == old.firstName)
  }

  @Test("same values change nothing and make no version")
  func unchanged() async throws {
    let fixture = try PatientFixture()
    let old = try await fixture.create()
    #expect(
      try await update(old.id, ["last_name", "mrn"], in: fixture) {
        $0.lastName = "Doe"
        $0.mrn = old.mrn
      } == old)
  }

  @Test(
    "what may not be changed is refused",
    arguments: [
      (["mrn"], "patient.mrn FIELD_IMMUTABLE"), (["status"], "update_mask.paths[0] FIELD_NOT_UPDATABLE"),
      (["account_status"], "update_mask.paths[0] FIELD_NOT_UPDATABLE"),
      (["version"], "update_mask.paths[0] FIELD_NOT_UPDATABLE"), (["id"], "update_mask.paths[0] FIELD_NOT_UPDATABLE"),
      (["*"], "update_mask.paths[0] UNKNOWN_FIELD"), (["firstName"], "update_mask.paths[0] UNKNOWN_FIELD"),
      (["address.zip"], "update_mask.paths[0] UNKNOWN_FIELD"), (["first_name"], "patient.first_name REQUIRED"),
      (["phone"], "patient.phone REQUIRED"), (["gender"], "patient.gender REQUIRED"),
      (["date_of_birth"], "patient.date_of_birth REQUIRED"), ([], "update_mask REQUIRED"),
    ])
  func refused(mask: [String], violation: String) async throws {
    let fixture = try PatientFixture()
    let old = try await fixture.create()
    let error = await status {
      _ = try await update(old.id, mask, in: fixture) { $0.mrn = mask.isEmpty ? "" : "OTHER-1" }
    }
    #expect(error?.violations == [violation])
    #expect(try await fixture.get(old.id).patient == old)
  }

  @Test("every fault is told at once")
  func everything() async throws {
    let fixture = try PatientFixture()
    let error = await status {
      _ = try await update("x", ["status", "first_name", "email"], in: fixture, requestId: "y") { $0.email = "z" }
    }
    #expect(
      error?.violations == [
        "patient.id MALFORMED", "update_mask.paths[0] FIELD_NOT_UPDATABLE", "patient.first_name REQUIRED",
        "patient.email MALFORMED", "request_id MALFORMED",
      ])
  }

  @Test("an address is set, changed by member, and removed")
  func address() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let partial = await status {
      _ = try await update(id, ["address.city"], in: fixture) { $0.address = Self.address() }
    }
    #expect(partial?.violations.contains("patient.address.street REQUIRED") == true)
    #expect(try await update(id, ["address"], in: fixture) { $0.address = Self.address() }.address == Self.address())
    let moved = try await update(id, ["address.city"], in: fixture) {
      $0.address = .init()
      $0.address?.city = "Ottawa"
    }
    #expect(moved.address == Self.address("Ottawa"))
    let blank = await status { _ = try await update(id, ["address.city"], in: fixture) }
    #expect(blank?.violations == ["patient.address.city REQUIRED"])
    #expect(try await update(id, ["address"], in: fixture).address == nil)
  }

  @Test("a birth date in the future is refused before existence is looked at (DOMAIN 8)")
  func clock() async throws {
    let fixture = try PatientFixture()
    let error = await status {
      _ = try await update("00000000-0000-4000-8000-000000000000", ["date_of_birth"], in: fixture) {
        $0.dateOfBirth = "2026-03-15"
      }
    }
    #expect(error?.violations == ["patient.date_of_birth OUT_OF_RANGE"])
  }

  @Test("a changed name is found in its new place")
  func reordered() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    _ = try await update(id, ["last_name"], in: fixture) { $0.lastName = "Älbers" }
    var request = PatientV1.SearchPatientsRequest()
    for (prefix, count) in [("doe", 0), ("alb", 1)] {
      request.lastNamePrefix = prefix
      let found = try await fixture.handlers.searchPatients(request, context: .forTest(by: PatientFixture.clinician))
      #expect(found.patients.count == count)
    }
  }

  @Test("a stale etag changes nothing; a fresh or absent one does")
  func etag() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let error = await status {
      _ = try await update(id, ["phone"], in: fixture, etag: "\"2\"") { $0.phone = "4165550000" }
    }
    #expect(error?.summary == "ABORTED ETAG_MISMATCH" && error?.info == ["etag": "\"1\""])
    #expect(try await update(id, ["phone"], in: fixture, etag: "\"1\"") { $0.phone = "4165550000" }.version == 2)
  }

  @Test("of concurrent updates with one etag exactly one succeeds; without, all do")
  func concurrent() async throws {
    let fixture = try PatientFixture(attempts: 1000)
    let id = try await fixture.create().id
    for (etag, number, winners) in [("\"1\"", 41_655_500, 1), ("", 41_655_511, 16)] {
      let outcomes = await withTaskGroup(of: Bool.self) { group in
        for caller in 0..<16 {
          group.addTask {
            await status {
              _ = try await update(id, ["phone"], in: fixture, etag: etag) { $0.phone = "\(number)\(10 + caller)" }
            } == nil
          }
        }
        return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
      }
      #expect(outcomes == winners)
    }
    #expect(try await fixture.get(id).patient?.version == 18)
  }

  @Test("a changed email address takes a live invitation back, a change of letter case does not (DOMAIN 3)")
  func invitation() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let key = PatientTable.invitationKey(tokenHash: "ab12")
    try await fixture.store.transact([
      .put(["id": .string(key.partition), "userId": .string(key.sort)], in: PatientTable.schema)
    ])
    try await fixture.change(id) {
      $0.account.invitationTokenHash = "ab12"
      $0.account.invitationSentAt = $0.createdAt
      $0.account.invitationExpiresAt = $0.createdAt
    }
    _ = try await update(id, ["email"], in: fixture) { $0.email = "JOHN.DOE@example.COM" }
    #expect(try await fixture.store.get(key, from: PatientTable.schema) != nil)
    let patient = try await update(id, ["email"], in: fixture) { $0.email = "new@example.com" }
    #expect(patient.invitationExpiresAt == nil && patient.invitationSentAt != nil)
    #expect(try await fixture.store.get(key, from: PatientTable.schema) == nil)
  }

  @Test("an update is repeated by its request id without a second effect")
  func idempotency() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    for _ in 0..<2 {
      let patient = try await update(id, ["phone"], in: fixture, etag: "\"1\"", requestId: requestId) {
        $0.phone = "4165550000"
      }
      #expect(patient.version == 2)
    }
  }

  @Test("foreign and unknown patients are not found, and roles hold")
  func access() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let foreign = await status {
      _ = try await update(id, ["phone"], in: fixture, by: PatientFixture.otherClinician) { $0.phone = "4165550000" }
    }
    #expect(foreign?.summary == "NOT_FOUND PATIENT_NOT_FOUND")
    for role in [Principal.Role.patient, .service] {
      let error = await status {
        _ = try await update(id, ["phone"], in: fixture, by: Principal(id: "clinician-1", role: role))
      }
      #expect(error?.summary == "PERMISSION_DENIED ROLE_NOT_ALLOWED")
    }
  }

  // MARK: Deactivate and reactivate

  private func deactivate(
    _ id: String, in fixture: PatientFixture, etag: String = "", requestId: String = ""
  ) async throws -> PatientV1.Patient? {
    var request = PatientV1.DeactivatePatientRequest()
    (request.patientId, request.etag, request.requestId) = (id, etag, requestId)
    return try await fixture.handlers.deactivatePatient(
      request, context: .forTest(by: PatientFixture.clinician, path: "/p/DeactivatePatient")
    ).patient
  }

  private func reactivate(
    _ id: String, in fixture: PatientFixture, etag: String = "", requestId: String = ""
  ) async throws -> PatientV1.Patient? {
    var request = PatientV1.ReactivatePatientRequest()
    (request.patientId, request.etag, request.requestId) = (id, etag, requestId)
    return try await fixture.handlers.reactivatePatient(request, context: .forTest(by: PatientFixture.clinician))
      .patient
  }

  @Test("the table of states")
  func states() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    #expect(
      await status { _ = try await reactivate(id, in: fixture) }?.summary
        == "FAILED_PRECONDITION PATIENT_ALREADY_ACTIVE")
    let inactive = try await deactivate(id, in: fixture)
    #expect(inactive?.status == .inactive && inactive?.version == 2)
    #expect(
      await status { _ = try await deactivate(id, in: fixture) }?.summary == "FAILED_PRECONDITION PATIENT_INACTIVE")
    #expect(try await update(id, ["phone"], in: fixture) { $0.phone = "4165550000" }.status == .inactive)
    #expect(try await fixture.get(id).patient?.status == .inactive)
    let active = try await reactivate(id, in: fixture)
    #expect(active?.status == .active && active?.version == 4)
  }

  @Test("DOMAIN 8: a repeated deactivation or reactivation answers the same and has no second effect")
  func statesRepeated() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let other = "650e8400-e29b-41d4-a716-446655440000"
    for _ in 0..<2 { #expect(try await deactivate(id, in: fixture, requestId: requestId)?.version == 2) }
    for _ in 0..<2 { #expect(try await reactivate(id, in: fixture, requestId: other)?.version == 3) }
  }

  @Test("the etag is looked at before the state")
  func etagBeforeState() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    #expect(
      await status { _ = try await reactivate(id, in: fixture, etag: "\"9\"") }?.summary == "ABORTED ETAG_MISMATCH")
  }

  @Test("concurrent duplicates of a deactivation all succeed, one of them in fact")
  func concurrentDuplicates() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let versions = try await withThrowingTaskGroup(of: Int64?.self) { group in
      for _ in 0..<16 {
        group.addTask { try await deactivate(id, in: fixture, etag: "\"1\"", requestId: requestId)?.version }
      }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(versions == [2])
  }
}
