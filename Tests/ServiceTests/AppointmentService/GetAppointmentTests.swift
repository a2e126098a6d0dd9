import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("GetAppointment")
struct GetAppointmentTests {
  static let portal = Principal(id: "cognito-1", role: .patient, forwardableToken: "token-of-the-patient")

  private func booked(_ clinic: Clinic) async throws -> AppointmentV1.Appointment {
    var asked = clinic.appointment()
    asked.notes = "not for patients"
    return try await clinic.create(asked)
  }

  @Test("ids are read in either letter case")
  func letterCase() async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    #expect(try await clinic.get(made.id.uppercased()).appointment == made)
  }

  @Test("a read mask leaves what it names, and the identity")
  func mask() async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    let answer = try await clinic.get(made.id) {
      $0.readMask = GoogleProtobuf.FieldMask()
      $0.readMask?.paths = ["date", "status"]
    }
    var expected = AppointmentV1.Appointment()
    (expected.id, expected.userId, expected.version, expected.etag) = (made.id, made.userId, made.version, made.etag)
    (expected.date, expected.status) = (made.date, made.status)
    #expect(answer.appointment == expected)
  }

  @Test("every field of the contract is a path, and nothing else is")
  func paths() async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    let everything = try await clinic.get(made.id) {
      $0.readMask = GoogleProtobuf.FieldMask()
      $0.readMask?.paths = Array(AppointmentPaths.all)
    }
    #expect(everything.appointment == made)
    let error = try await failure {
      try await clinic.get(made.id) {
        $0.readMask = GoogleProtobuf.FieldMask()
        $0.readMask?.paths = ["date", "colour", "status_history.status"]
      }
    }
    #expect(error.fields == ["read_mask.paths[1] UNKNOWN_FIELD", "read_mask.paths[2] UNKNOWN_FIELD"])
  }

  @Test("what the caller has already is not sent again")
  func notModified() async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    let same = try await clinic.get(made.id) { $0.ifNoneMatch = made.etag }
    #expect(same.notModified && same.appointment == nil)
    #expect(try await clinic.get(made.id) { $0.ifNoneMatch = "\"9\"" }.appointment == made)
  }

  @Test("DOMAIN 1: a patient sees the linked record's appointment, redacted")
  func redaction() async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    try await clinic.change(made.id, to: .confirmed, reason: "by phone")
    clinic.directory.set { $0.linked = [Clinic.patient] }
    let seen = try #require(
      try await clinic.get(made.id, as: Self.portal) { $0.userId = Clinic.clinician }.appointment)
    #expect(seen.status == .confirmed && seen.date == made.date && seen.startTime == made.startTime)
    #expect(seen.notes == nil && seen.notesHistory.isEmpty && seen.createdBy.isEmpty && seen.updatedBy.isEmpty)
    #expect(seen.statusHistory.allSatisfy { $0.changedBy.isEmpty && $0.reason == nil })
    #expect(clinic.directory.lastToken == "token-of-the-patient")
  }

  static let visibility: [(AppointmentV1.AppointmentStatus, String, Bool)] = [
    (.scheduled, "2025-12-10T19:29:00Z", true), (.scheduled, "2025-12-10T19:30:00Z", false),
    (.confirmed, "2025-12-10T00:00:00Z", true), (.completed, "2026-12-10T00:00:00Z", true),
    (.cancelled, "2025-12-01T00:00:00Z", false), (.noShow, "2025-12-01T00:00:00Z", false),
  ]

  @Test("DOMAIN 1: patients see what is to come or completed; the rest is like none", arguments: visibility)
  func visible(status: AppointmentV1.AppointmentStatus, now: String, isVisible: Bool) async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    if status != .scheduled { try await clinic.change(made.id, to: status, reason: "r") }
    clinic.directory.set { $0.linked = [Clinic.patient] }
    clinic.clock.set(now)
    let result = await Result { try await clinic.get(made.id, as: Self.portal) { $0.userId = Clinic.clinician } }
    #expect(result.failureStatus?.reason == (isVisible ? nil : "APPOINTMENT_NOT_FOUND"))
  }

  @Test("DOMAIN 1: a patient without a linked record sees nothing; without the patient service UNAVAILABLE")
  func unlinked() async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    let unlinked = try await failure {
      try await clinic.get(made.id, as: Self.portal) { $0.userId = Clinic.clinician }
    }
    #expect(unlinked.reason == "APPOINTMENT_NOT_FOUND")
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    let down = try await failure { try await clinic.get(made.id, as: Self.portal) { $0.userId = Clinic.clinician } }
    #expect(down.code == .unavailable && down.reason == "PATIENT_SERVICE_UNAVAILABLE")
    #expect(try await clinic.get(made.id).appointment == made)
  }

  static let services: [(Principal, String, String?)] = [
    (Principal(id: "s", role: .service), Clinic.clinician, nil),
    (Principal(id: "s", role: .service), "", "VALIDATION_FAILED"),
    (
      Principal(id: "s", role: .service, onBehalfOf: .init(id: "clinician-2", role: .clinician)), Clinic.clinician,
      "PARTITION_NOT_ALLOWED"
    ),
    (
      Principal(id: "s", role: .service, onBehalfOf: .init(id: Clinic.clinician, role: .clinician)), Clinic.clinician,
      nil
    ),
    (Principal(id: "cognito-1", role: .patient), "", "VALIDATION_FAILED"),
  ]

  @Test("DOMAIN 1: services name the partition, and see no more than whom they act for", arguments: services)
  func partitions(principal: Principal, userID: String, reason: String?) async throws {
    let clinic = Clinic()
    let made = try await booked(clinic)
    let result = await Result { try await clinic.get(made.id, as: principal) { $0.userId = userID } }
    #expect(result.failureStatus?.reason == reason)
  }
}
