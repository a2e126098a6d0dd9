import Contract
import Identity
import RPC
import ServiceCore
import ServiceTestSupport
import Testing

@testable import PatientService

@Suite("GetPatient and ValidatePatientReferences (DOMAIN 1, 9)")
struct ReadPatientTests {
  private let unknown = "00000000-0000-4000-8000-000000000000"

  @Test("an id is found in any letter case")
  func letterCase() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    #expect(try await fixture.get(id.uppercased()).patient?.id == id)
  }

  @Test("a foreign id answers exactly as an unknown one, but for the id asked for")
  func notFound() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let foreign = await status { _ = try await fixture.get(id, by: PatientFixture.otherClinician) }
    let absent = await status { _ = try await fixture.get(unknown, by: PatientFixture.otherClinician) }
    #expect(foreign?.summary == "NOT_FOUND PATIENT_NOT_FOUND")
    #expect(foreign?.message == absent?.message)
    #expect(foreign?.metadata == absent?.metadata)
    #expect(foreign?.details.first == absent?.details.first)
    #expect(foreign?.details.dropFirst() == [.resourceInfo(type: "Patient", name: id)])
    #expect(absent?.details.dropFirst() == [.resourceInfo(type: "Patient", name: unknown)])
  }

  @Test("faults of the request are told")
  func violations() async throws {
    let fixture = try PatientFixture()
    #expect(await status { _ = try await fixture.get("") }?.violations == ["patient_id REQUIRED"])
    let error = await status {
      _ = try await fixture.get("x", by: PatientFixture.service) {
        $0.readMask = .init()
        $0.readMask?.paths = ["first_name", "firstName", "address.zip"]
      }
    }
    #expect(
      error?.violations == [
        "user_id REQUIRED", "patient_id MALFORMED", "read_mask.paths[1] UNKNOWN_FIELD",
        "read_mask.paths[2] UNKNOWN_FIELD",
      ])
  }

  @Test("a read mask chooses fields; id, user_id, version and etag always come")
  func readMask() async throws {
    let fixture = try PatientFixture()
    var address = PatientV1.Address()
    (address.street, address.city, address.province) = ("1 Main St", "Toronto", "ON")
    (address.postalCode, address.country) = ("M1A 1A1", "Canada")
    let full = try await fixture.create(.valid { $0.address = address })
    let masked = try await fixture.get(full.id) {
      $0.readMask = .init()
      $0.readMask?.paths = ["last_name", "address.city", "address.country"]
    }.patient
    var expected = PatientV1.Patient()
    (expected.id, expected.userId, expected.version, expected.etag) = (full.id, full.userId, 1, "\"1\"")
    expected.lastName = "Doe"
    expected.address = .init()
    expected.address?.city = "Toronto"
    expected.address?.country = "Canada"
    #expect(masked == expected)
  }

  @Test("a present etag answers not_modified")
  func notModified() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    let same = try await fixture.get(id) { $0.ifNoneMatch = "\"1\"" }
    #expect(same.notModified && same.patient == nil)
    let other = try await fixture.get(id) { $0.ifNoneMatch = "\"2\"" }
    #expect(!other.notModified && other.patient != nil)
  }

  @Test(
    "a portal identity sees its linked record while patient and account are active",
    arguments: [
      ("sub-1", PatientStatus.active, AccountStatus.active, true), ("sub-2", .active, .active, false),
      (nil, .active, .active, false), ("sub-1", .inactive, .active, false), ("sub-1", .active, .pending, false),
      ("sub-1", .active, .inactive, false),
    ] as [(String?, PatientStatus, AccountStatus, Bool)])
  func patientRole(link: String?, status: PatientStatus, account: AccountStatus, isVisible: Bool) async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    try await fixture.change(id) {
      $0.status = status
      $0.account.status = account
      $0.account.cognitoUserId = link
    }
    let patient = Principal(id: "sub-1", role: .patient)
    let service = Principal(
      id: "appointment-service", role: .service, onBehalfOf: .init(id: "sub-1", role: .patient))
    for principal in [patient, service] {
      let error = await PatientServiceTests.status {
        let seen = try await fixture.get(id, userId: "clinician-1", by: principal).patient
        #expect(seen?.createdBy == "" && seen?.updatedBy == "")
        #expect(seen?.firstName == "John")
      }
      #expect(error?.summary == (isVisible ? nil : "NOT_FOUND PATIENT_NOT_FOUND"))
    }
  }

  @Test("the hash of an invitation's token is for services only")
  func tokenHash() async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    try await fixture.change(id) { $0.account.invitationTokenHash = "ab12" }
    #expect(try await fixture.get(id).patient?.invitationToken == nil)
    #expect(
      try await fixture.get(id, userId: "clinician-1", by: PatientFixture.service).patient?.invitationToken == "ab12")
    let onBehalf = Principal(
      id: "appointment-service", role: .service, onBehalfOf: .init(id: "clinician-1", role: .clinician))
    #expect(try await fixture.get(id, userId: "clinician-1", by: onBehalf).patient?.invitationToken == nil)
  }

  // MARK: ValidatePatientReferences

  private func validate(
    _ references: [(String, String)], by principal: Principal = PatientFixture.service, in fixture: PatientFixture
  ) async throws -> [PatientV1.PatientReferenceResult] {
    var request = PatientV1.ValidatePatientReferencesRequest()
    request.references = references.map {
      var reference = PatientV1.PatientReference()
      (reference.patientId, reference.userId) = $0
      return reference
    }
    return try await fixture.handlers.validatePatientReferences(request, context: .forTest(by: principal)).results
  }

  @Test("references are answered one by one, in order, duplicates too")
  func references() async throws {
    let fixture = try PatientFixture()
    let active = try await fixture.create().id
    let inactive = try await fixture.create().id
    try await fixture.change(inactive) {
      $0.status = .inactive
      $0.touch(by: "clinician-1", at: $0.updatedAt)
    }
    let results = try await validate(
      [
        (inactive, "clinician-1"), (unknown, "clinician-1"), (active.uppercased(), "clinician-1"),
        (active, "clinician-2"), (active, "clinician-1"),
      ], in: fixture)
    #expect(results.map(\.exists) == [true, false, true, false, true])
    #expect(results.map(\.status) == [.inactive, .unspecified, .active, .unspecified, .active])
    #expect(results.map(\.version) == [2, 0, 1, 0, 1])
    #expect(results.map(\.reference?.patientId) == [inactive, unknown, active.uppercased(), active, active])
  }

  @Test("a service that carries its caller sees no further than the caller")
  func isolation() async throws {
    let fixture = try PatientFixture()
    let own = try await fixture.create().id
    let foreign = try await fixture.create(by: PatientFixture.otherClinician).id
    try await fixture.change(own) {
      $0.account.cognitoUserId = "sub-1"
      $0.account.status = .active
    }
    let both = [(own, "clinician-1"), (foreign, "clinician-2")]
    let expected: [(Principal.Caller?, [Bool])] = [
      (nil, [true, true]), (.init(id: "clinician-1", role: .clinician), [true, false]),
      (.init(id: "desk", role: .delegate, actsFor: ["clinician-2"]), [false, true]),
      (.init(id: "sub-1", role: .patient), [true, false]), (.init(id: "sub-2", role: .patient), [false, false]),
    ]
    for (caller, exists) in expected {
      let principal = Principal(id: "appointment-service", role: .service, onBehalfOf: caller)
      #expect(try await validate(both, by: principal, in: fixture).map(\.exists) == exists)
    }
  }

  @Test("1 to 100 references, each with a UUID and a clinician")
  func limits() async throws {
    let fixture = try PatientFixture()
    #expect(try await validate(.init(repeating: (unknown, "c"), count: 100), in: fixture).count == 100)
    let tooMany = await status { _ = try await validate(.init(repeating: (unknown, "c"), count: 101), in: fixture) }
    #expect(tooMany?.violations == ["references TOO_LONG"])
    let none = await status { _ = try await validate([], in: fixture) }
    #expect(none?.violations == ["references REQUIRED"])
    let faulty = await status {
      _ = try await validate(
        [("x", ""), ("", "c"), (unknown, String(repeating: "c", count: 129)), (unknown, "c")], in: fixture)
    }
    #expect(
      faulty?.violations == [
        "references[0].patient_id MALFORMED", "references[0].user_id REQUIRED", "references[1].patient_id REQUIRED",
        "references[2].user_id TOO_LONG",
      ])
  }

  @Test("people do not validate references", arguments: [Principal.Role.clinician, .delegate, .patient])
  func roles(role: Principal.Role) async throws {
    let fixture = try PatientFixture()
    let error = await status {
      _ = try await validate([(unknown, "clinician-1")], by: Principal(id: "clinician-1", role: role), in: fixture)
    }
    #expect(error?.summary == "PERMISSION_DENIED ROLE_NOT_ALLOWED")
  }
}

@Suite("GetPatientByMrn and BatchGetPatients (DOMAIN 2, 8)")
struct LookUpPatientTests {
  private func byMrn(
    _ mrn: String, in fixture: PatientFixture, by principal: Principal = PatientFixture.clinician
  ) async throws -> PatientV1.Patient? {
    var request = PatientV1.GetPatientByMrnRequest()
    request.mrn = mrn
    return try await fixture.handlers.getPatientByMrn(request, context: .forTest(by: principal)).patient
  }

  @Test("a record number is found in any letter case, by its own clinician only")
  func mrn() async throws {
    let fixture = try PatientFixture()
    let patient = try await fixture.create(.valid { $0.mrn = "ABC-1" })
    #expect(try await byMrn(" abc-1", in: fixture) == patient)
    let foreign = await status { _ = try await byMrn("ABC-1", in: fixture, by: PatientFixture.otherClinician) }
    let unknown = await status { _ = try await byMrn("ABC-2", in: fixture, by: PatientFixture.otherClinician) }
    #expect(
      foreign?.details == [
        .errorInfo(reason: "PATIENT_NOT_FOUND", domain: "patient.clinicavoice"),
        .resourceInfo(type: "Patient", name: "ABC-1"),
      ])
    #expect(foreign?.message == unknown?.message && foreign?.details.first == unknown?.details.first)
    #expect(await status { _ = try await byMrn("", in: fixture) }?.violations == ["mrn REQUIRED"])
    #expect(await status { _ = try await byMrn("A B", in: fixture) }?.violations == ["mrn MALFORMED"])
  }

  private func batch(
    _ ids: [String], in fixture: PatientFixture, userId: String = "",
    by principal: Principal = PatientFixture.clinician
  ) async throws -> PatientV1.BatchGetPatientsResponse {
    var request = PatientV1.BatchGetPatientsRequest()
    request.patientIds = ids
    request.userId = userId
    return try await fixture.handlers.batchGetPatients(request, context: .forTest(by: principal))
  }

  @Test("patients come in the order of the request, once each; the others are named")
  func batches() async throws {
    let fixture = try PatientFixture()
    let first = try await fixture.create().id
    let second = try await fixture.create().id
    let foreign = try await fixture.create(by: PatientFixture.otherClinician).id
    let unknown = "00000000-0000-4000-8000-00000000000a"
    let ids = [second, unknown.uppercased(), first.uppercased(), foreign, second]
    for (principal, userId) in [(PatientFixture.clinician, ""), (PatientFixture.service, "clinician-1")] {
      let response = try await batch(ids, in: fixture, userId: userId, by: principal)
      #expect(response.patients.map(\.id) == [second, first])
      #expect(response.missingPatientIds == [unknown, foreign])
    }
  }

  @Test("1 to 100 ids")
  func limits() async throws {
    let fixture = try PatientFixture()
    let ids = (100...200).map { "00000000-0000-4000-8000-000000000\($0)" }
    #expect(try await batch(Array(ids.prefix(100)), in: fixture).missingPatientIds.count == 100)
    #expect(await status { _ = try await batch(ids, in: fixture) }?.violations == ["patient_ids TOO_LONG"])
    #expect(await status { _ = try await batch([], in: fixture) }?.violations == ["patient_ids REQUIRED"])
    #expect(
      await status { _ = try await batch([ids[0], "x"], in: fixture) }?.violations == ["patient_ids[1] MALFORMED"])
  }
}
