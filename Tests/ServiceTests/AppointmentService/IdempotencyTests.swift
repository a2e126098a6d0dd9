import Contract
import Identity
import RPC
import Testing

@testable import AppointmentService

@Suite("DOMAIN 8: request_id")
struct IdempotencyTests {
  static let id = "11111111-1111-4111-8111-111111111111"

  @Test("a repeated booking answers the appointment as it is now and books nothing")
  func replay() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment(), requestID: Self.id)
    let confirmed = try await clinic.change(made.id, to: .confirmed)
    let commits = try await clinic.commits()
    // Letter case of an id does not matter, and the patient service is not asked again.
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    var request = AppointmentV1.CreateAppointmentRequest()
    request.appointment = clinic.appointment()
    request.requestId = Self.id.uppercased()
    let context = clinic.context()
    let answer = try await clinic.handlers.createAppointment(request, context: context)
    #expect(answer.appointment == confirmed)
    #expect(context.trailingMetadata["idempotent-replayed"] == "true")
    #expect(try await clinic.commits() == commits)
  }

  @Test("a replay comes before the rules that need the clock")
  func replayLater() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment("2025-12-01", "11:00"), requestID: Self.id)
    clinic.clock.set("2025-12-02T10:00:00Z")
    #expect(try await clinic.create(clinic.appointment("2025-12-01", "11:00"), requestID: Self.id) == made)
  }

  @Test("the same id with another payload is refused; from another caller it is another request")
  func reuse() async throws {
    let clinic = Clinic()
    try await clinic.create(clinic.appointment(), requestID: Self.id)
    let error = try await failure {
      try await clinic.create(clinic.appointment("2025-12-11"), requestID: Self.id)
    }
    #expect(error.code == .invalidArgument && error.reason == "REQUEST_ID_REUSED")
    let other = Principal(id: "clinician-2", role: .clinician)
    #expect(try await clinic.create(clinic.appointment(), requestID: Self.id, as: other).userId == "clinician-2")
  }

  @Test("failures are not remembered")
  func failures() async throws {
    let clinic = Clinic()
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    _ = try await failure { try await clinic.create(clinic.appointment(), requestID: Self.id) }
    #expect(try await clinic.commits() == 0)
    clinic.directory.set { $0.failure = nil }
    #expect(try await clinic.create(clinic.appointment(), requestID: Self.id).version == 1)
  }

  @Test("a repeated change of status has no second effect")
  func status() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    let first = try await clinic.change(id, to: .cancelled, reason: "ill", requestID: Self.id)
    #expect(try await clinic.change(id, to: .cancelled, reason: "ill", requestID: Self.id) == first)
    try await clinic.change(id, to: .scheduled)
    let now = try await clinic.get(id).appointment
    #expect(try await clinic.change(id, to: .cancelled, reason: "ill", requestID: Self.id) == now)
  }

  @Test("of concurrent duplicates one executes and all get its answer", arguments: 0..<5)
  func duplicates(round: Int) async throws {
    let clinic = Clinic(attempts: 100)
    let ids = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<20 {
        group.addTask { try await clinic.create(clinic.appointment(), requestID: Self.id).id }
      }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(ids.count == 1)
    #expect(try await clinic.items().filter { $0["patientId"] != nil }.count == 1)
  }
}
