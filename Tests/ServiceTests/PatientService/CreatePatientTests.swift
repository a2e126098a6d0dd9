import Contract
import Identity
import RPC
import ServiceCore
import ServiceTestSupport
import Storage
import Testing

@testable import PatientService

@Suite("CreatePatient (DOMAIN 2, 8)")
struct CreatePatientTests {
  @Test("a new patient is active, pending, of version 1, and its own output")
  func create() async throws {
    let fixture = try PatientFixture()
    let patient = try await fixture.create(
      .valid {
        $0.id = "ignored"
        $0.userId = "ignored"
        $0.status = .inactive
        $0.version = 9
        $0.firstName = "  Mary   Jane "
      })
    #expect(ResourceID(patient.id)?.description == patient.id)
    #expect(patient.userId == "clinician-1")
    #expect(patient.firstName == "Mary Jane")
    #expect(patient.phone == "+1 (416) 555-1234")
    #expect(patient.email == "John.Doe@Example.com")
    #expect(patient.status == .active)
    #expect(patient.accountStatus == .pending)
    #expect(patient.preferredContactMethod == .email)
    #expect(patient.version == 1)
    #expect(patient.etag == "\"1\"")
    #expect(patient.age == 46)
    #expect(patient.mrn.hasPrefix("MRN-20260314-"))
    #expect(patient.createdBy == "clinician-1" && patient.updatedBy == "clinician-1")
    #expect(patient.createdAt?.seconds == 1_773_489_600 && patient.createdAt == patient.updatedAt)
    #expect(patient.cognitoUserId == nil && patient.invitationToken == nil && patient.invitationSentAt == nil)
    #expect(try await fixture.get(patient.id).patient == patient)
  }

  @Test("all violations come at once, with their paths")
  func violations() async throws {
    let fixture = try PatientFixture()
    let error = await status {
      _ = try await fixture.create(
        .valid {
          $0.firstName = ""
          $0.email = "x"
        }, requestId: "not-a-uuid", edit: { $0.sendInvitation = true })
    }
    #expect(error?.summary == "INVALID_ARGUMENT VALIDATION_FAILED")
    #expect(
      error?.violations == [
        "patient.first_name REQUIRED", "patient.email MALFORMED", "request_id MALFORMED",
        "send_invitation OUT_OF_RANGE",
      ])
    let absent = await status { _ = try await fixture.create(nil) }
    #expect(absent?.violations == ["patient REQUIRED"])
  }

  @Test(
    "a birth date is not after today and at most 150 years ago",
    arguments: [
      ("2026-03-14", true), ("2026-03-15", false), ("1876-03-14", true), ("1876-03-13", false),
    ])
  func birthDate(date: String, isLegal: Bool) async throws {
    let fixture = try PatientFixture()
    let error = await status { _ = try await fixture.create(.valid { $0.dateOfBirth = date }) }
    #expect(error?.violations == (isLegal ? nil : ["patient.date_of_birth OUT_OF_RANGE"]))
  }

  @Test(
    "today is today in the clinician's zone",
    arguments: [
      ("Pacific/Auckland", "2026-03-15", true), ("America/Los_Angeles", "2026-03-15", false),
      (nil, "2026-03-15", false), ("Not/AZone", "2026-03-15", false),
    ])
  func zones(zone: String?, date: String, isLegal: Bool) async throws {
    let fixture = try PatientFixture()
    let principal = Principal(id: "clinician-1", role: .clinician, timeZone: zone)
    let error = await status { _ = try await fixture.create(.valid { $0.dateOfBirth = date }, by: principal) }
    #expect((error == nil) == isLegal)
  }

  @Test("a supplied record number is unique over all clinicians, without regard to letter case")
  func duplicateMrn() async throws {
    let fixture = try PatientFixture()
    #expect(try await fixture.create(.valid { $0.mrn = " abc-1 " }).mrn == "ABC-1")
    for principal in [PatientFixture.clinician, PatientFixture.otherClinician] {
      let error = await status { _ = try await fixture.create(.valid { $0.mrn = "Abc-1" }, by: principal) }
      #expect(error?.summary == "ALREADY_EXISTS MRN_ALREADY_EXISTS")
      #expect(error?.info == [:])
    }
  }

  @Test("of concurrent creations with one record number exactly one succeeds", arguments: [2, 16])
  func concurrentMrn(callers: Int) async throws {
    let fixture = try PatientFixture()
    let outcomes = await withTaskGroup(of: String.self) { group in
      for caller in 0..<callers {
        let principal = Principal(id: "clinician-\(caller)", role: .clinician)
        group.addTask {
          await status { _ = try await fixture.create(.valid { $0.mrn = "ABC-1" }, by: principal) }?.summary ?? "OK"
        }
      }
      return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
    #expect(outcomes == ["OK": 1, "ALREADY_EXISTS MRN_ALREADY_EXISTS": callers - 1])
  }

  @Test("a generated record number that is taken is tried again, at last with six digits")
  func collisions() async throws {
    let fixture = try PatientFixture()
    // All numbers of four digits are taken.
    for block in 0..<100 {
      try await fixture.store.transact(
        (0..<100).map { offset in
          let digits = String(10_000 + block * 100 + offset).dropFirst()
          return .put(["id": .string("mrn#MRN-20260314-\(digits)"), "userId": "-"], in: PatientTable.schema)
        })
    }
    let patient = try await fixture.create()
    #expect(patient.mrn.count == "MRN-20260314-".count + 6)
  }

  @Test("without any free record number the creation ends in CONTENTION after 16 retries")
  func noFreeMrn() async throws {
    // A source that knows one number only.
    let fixture = try PatientFixture()
    let handlers = PatientServiceHandlers(
      tables: fixture.store, clock: fixture.clock.wall, defaultZone: fixture.handlers.calendar.defaultZone,
      pageTokens: fixture.handlers.pageTokens, random: RandomSource { 1 << 60 }, retry: .immediate())
    for digits in ["0000", "000000"] {
      try await fixture.store.transact([
        .put(["id": .string("mrn#MRN-20260314-\(digits)"), "userId": "-"], in: PatientTable.schema)
      ])
    }
    var request = PatientV1.CreatePatientRequest()
    request.patient = .valid
    let error = await status {
      _ = try await handlers.createPatient(request, context: .forTest(by: PatientFixture.clinician))
    }
    #expect(error?.summary == "ABORTED CONTENTION")
  }

  @Test("a repeat answers the patient as it is now; another payload is refused")
  func idempotency() async throws {
    let fixture = try PatientFixture()
    let requestId = "550e8400-e29b-41d4-a716-446655440000"
    let first = try await fixture.create(.valid { $0.mrn = "ABC-1" }, requestId: requestId)
    try await fixture.change(first.id) { $0.touch(by: "clinician-1", at: $0.updatedAt) }
    let context = ServerContext.forTest(
      by: PatientFixture.clinician, path: "/clinicavoice.patient.v1.PatientService/CreatePatient")
    let again = try await fixture.create(
      .valid { $0.mrn = "ABC-1" }, requestId: requestId.uppercased(), context: context)
    #expect(again.id == first.id && again.version == 2)
    #expect(context.trailingMetadata["idempotent-replayed"] == "true")
    let error = await status { _ = try await fixture.create(requestId: requestId) }
    #expect(error?.summary == "INVALID_ARGUMENT REQUEST_ID_REUSED")
  }

  @Test("a replay comes before the rules that need the clock")
  func replayBeforeClock() async throws {
    let fixture = try PatientFixture()
    let requestId = "550e8400-e29b-41d4-a716-446655440000"
    let born = PatientV1.Patient.valid { $0.dateOfBirth = "2026-03-14" }
    let first = try await fixture.create(born, requestId: requestId)
    fixture.clock.set("2026-03-13T12:00:00Z")
    #expect(try await fixture.create(born, requestId: requestId).id == first.id)
    #expect(await status { _ = try await fixture.create(born) } != nil)
  }

  @Test("of concurrent duplicates one executes, and all get the same patient")
  func concurrentDuplicates() async throws {
    let fixture = try PatientFixture()
    let ids = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<16 {
        group.addTask {
          try await fixture.create(
            .valid { $0.mrn = "ABC-1" }, requestId: "550e8400-e29b-41d4-a716-446655440000"
          ).id
        }
      }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(ids.count == 1)
    let query = Query(
      PatientTable.schema, index: PatientTable.statusNameIndex, partition: "clinician-1", limit: 1000)
    #expect(try await fixture.store.query(query).items.count == 1)
  }

  @Test("a failed creation leaves nothing behind, and its request id is free")
  func failure() async throws {
    let fixture = try PatientFixture()
    let requestId = "550e8400-e29b-41d4-a716-446655440000"
    _ = try await fixture.create(.valid { $0.mrn = "ABC-1" })
    #expect(await status { _ = try await fixture.create(.valid { $0.mrn = "ABC-1" }, requestId: requestId) } != nil)
    #expect(try await fixture.create(.valid { $0.mrn = "ABC-2" }, requestId: requestId).mrn == "ABC-2")
  }

  @Test("delegates create for the clinician they name, and are named as the creator")
  func delegates() async throws {
    let fixture = try PatientFixture()
    let patient = try await fixture.create(by: PatientFixture.delegate, edit: { $0.userId = "clinician-1" })
    #expect(patient.userId == "clinician-1" && patient.createdBy == "desk")
    let unnamed = await status { _ = try await fixture.create(by: PatientFixture.delegate) }
    #expect(unnamed?.violations == ["user_id REQUIRED"])
    let foreign = await status {
      _ = try await fixture.create(by: PatientFixture.delegate, edit: { $0.userId = "clinician-2" })
    }
    #expect(foreign?.summary == "PERMISSION_DENIED PARTITION_NOT_ALLOWED")
  }

  @Test("patients and services do not create patients", arguments: [Principal.Role.patient, .service])
  func roles(role: Principal.Role) async throws {
    let fixture = try PatientFixture()
    let error = await status {
      _ = try await fixture.create(by: Principal(id: "x", role: role), edit: { $0.userId = "clinician-1" })
    }
    #expect(error?.summary == "PERMISSION_DENIED ROLE_NOT_ALLOWED")
  }

  @Test("a foreign partition is refused before the fields are looked at")
  func foreignPartition() async throws {
    let fixture = try PatientFixture()
    let error = await status { _ = try await fixture.create(nil, edit: { $0.userId = "clinician-2" }) }
    #expect(error?.summary == "PERMISSION_DENIED PARTITION_NOT_ALLOWED")
  }
}
