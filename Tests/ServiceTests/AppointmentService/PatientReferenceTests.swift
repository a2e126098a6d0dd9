import Contract
import RPC
import Testing

@testable import AppointmentService

@Suite("DOMAIN 9: what the patient service says decides, and nothing is written without it")
struct PatientReferenceTests {
  static let failures: [(PatientDirectoryError, StatusCode, String?)] = [
    (.unavailable(retryAfter: nil, cause: NoFailure()), .unavailable, "PATIENT_SERVICE_UNAVAILABLE"),
    (.unavailable(retryAfter: .seconds(7), cause: NoFailure()), .unavailable, "PATIENT_SERVICE_UNAVAILABLE"),
    (.callerDeadlineExceeded, .deadlineExceeded, nil), (.cancelled, .cancelled, nil),
    (.broken(cause: NoFailure()), .internal, "INTERNAL"),
  ]

  @Test("without an answer nothing is booked, not even the request id", arguments: failures)
  func booking(error: PatientDirectoryError, code: StatusCode, reason: String?) async throws {
    let clinic = Clinic()
    clinic.directory.set { $0.failure = error }
    let id = "11111111-1111-4111-8111-111111111111"
    let status = try await failure { try await clinic.create(clinic.appointment(), requestID: id) }
    #expect(status.code == code && status.reason == reason)
    #expect(try await clinic.commits() == 0)
  }

  @Test("without an answer nothing is reinstated", arguments: failures)
  func reinstating(error: PatientDirectoryError, code: StatusCode, reason: String?) async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    try await clinic.change(id, to: .cancelled, reason: "ill")
    let commits = try await clinic.commits()
    clinic.directory.set { $0.failure = error }
    #expect(try await failure { try await clinic.change(id, to: .scheduled) }.code == code)
    #expect(try await clinic.commits() == commits)
  }

  @Test("an unknown patient is not found, an inactive one is refused")
  func standings() async throws {
    let clinic = Clinic()
    clinic.directory.set { $0.standings[Clinic.patient] = .unknown }
    let unknown = try await failure { try await clinic.create(clinic.appointment()) }
    #expect(unknown.code == .notFound && unknown.reason == "PATIENT_NOT_FOUND")
    #expect(unknown.details.contains(.resourceInfo(type: "Patient", name: Clinic.patient)))
    clinic.directory.set { $0.standings[Clinic.patient] = .inactive }
    let inactive = try await failure { try await clinic.create(clinic.appointment()) }
    #expect(inactive.code == .failedPrecondition && inactive.reason == "PATIENT_INACTIVE")
    #expect(try await clinic.commits() == 0)
  }

  @Test("the peer's RetryInfo is passed on")
  func retryInfo() async throws {
    let clinic = Clinic()
    clinic.directory.set { $0.failure = .unavailable(retryAfter: .seconds(7), cause: NoFailure()) }
    let status = try await failure { try await clinic.create(clinic.appointment()) }
    #expect(status.details.contains(.retryInfo(delay: .seconds(7))))
  }

  @Test("DOMAIN 8: the patient is asked before conflicts are looked at")
  func order() async throws {
    let clinic = Clinic()
    try await clinic.create(clinic.appointment())
    clinic.directory.set { $0.standings[Clinic.patient] = .inactive }
    #expect(try await failure { try await clinic.create(clinic.appointment()) }.reason == "PATIENT_INACTIVE")
  }

  @Test("confirming, completing and correcting work while the patient service is down")
  func independent() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    try await clinic.change(id, to: .confirmed)
    try await clinic.change(id, to: .completed)
    try await clinic.change(id, to: .noShow, reason: "mistake")
    #expect(try await clinic.get(id).appointment?.status == .noShow)
  }
}
