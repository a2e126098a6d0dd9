import CivilTime
import Contract
import Identity
import RPC
import ServiceCore
import Testing

@testable import AppointmentService

@Suite("CancelPatientAppointments (DOMAIN 2, 4 and 8)")
struct CancelPatientAppointmentsTests {
  static let requestID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

  private func cancel(
    _ clinic: Clinic, requestID: String = "", reason: String = "moved away", handlers: AppointmentHandlers? = nil,
    context: ServerContext? = nil, _ adjust: (inout AppointmentV1.CancelPatientAppointmentsRequest) -> Void = { _ in }
  ) async throws -> AppointmentV1.CancelPatientAppointmentsResponse {
    var request = AppointmentV1.CancelPatientAppointmentsRequest()
    (request.patientId, request.requestId, request.reason) = (Clinic.patient, requestID, reason)
    adjust(&request)
    return try await (handlers ?? clinic.handlers).cancelPatientAppointments(
      request, context: context ?? clinic.context())
  }

  @Test("DOMAIN 4: scheduled and confirmed ones that begin later are cancelled in the order of time; nothing else is")
  func effect() async throws {
    let clinic = Clinic()
    // It is 10:00 in Toronto: this one has begun, and the next one begins this minute.
    let running = try await clinic.create(clinic.appointment("2025-12-01", "09:45", duration: 15))
    let beginning = try await clinic.create(clinic.appointment("2025-12-01", "10:00", duration: 15))
    let late = try await clinic.create(clinic.appointment("2025-12-20", "09:00"))
    let soon = try await clinic.create(clinic.appointment("2025-12-01", "10:15"))
    var tokyo = clinic.appointment("2025-12-02", "02:00")
    tokyo.timeZone = "Asia/Tokyo"
    let abroad = try await clinic.create(tokyo)
    let confirmed = try await clinic.create(clinic.appointment("2025-12-12", "09:00"))
    try await clinic.change(confirmed.id, to: .confirmed)
    let completed = try await clinic.create(clinic.appointment("2025-12-13", "09:00"))
    try await clinic.change(completed.id, to: .completed)
    var asked = clinic.appointment("2025-12-14", "09:00")
    asked.patientId = ListAppointmentsTests.otherPatient
    let others = try await clinic.create(asked)
    let foreign = try await clinic.create(clinic.appointment("2025-12-15", "09:00"), as: Clinic.other)

    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    let answer = try await cancel(clinic, reason: "  moved away ")
    #expect(answer.cancelledAppointmentIds == [soon.id, abroad.id, confirmed.id, late.id])
    #expect(answer.remainingCount == 0)
    for id in answer.cancelledAppointmentIds {
      let now = try #require(try await clinic.get(id).appointment)
      #expect(now.status == .cancelled && now.cancellationReason == "moved away")
      #expect(now.cancelledBy == Clinic.clinician && now.statusHistory.last?.status == .cancelled)
    }
    for id in [running.id, beginning.id, others.id] {
      #expect(try await clinic.get(id).appointment?.status == .scheduled)
    }
    #expect(try await clinic.get(foreign.id, as: Clinic.other).appointment?.status == .scheduled)
    #expect(try await clinic.findings() == [])

    clinic.directory.set { $0.failure = nil }
    try await clinic.create(clinic.appointment("2025-12-12", "09:00"))
  }

  @Test("a reason is required, of at most 500 characters; a patient without appointments is no error")
  func validation() async throws {
    let clinic = Clinic()
    #expect(try await failure { try await cancel(clinic, reason: " \n") }.fields == ["reason REQUIRED"])
    let long = String(repeating: "r", count: 501)
    #expect(try await failure { try await cancel(clinic, reason: long) }.fields == ["reason TOO_LONG"])
    let error = try await failure { try await cancel(clinic, requestID: "x", reason: "") { $0.patientId = "" } }
    #expect(error.fields == ["request_id MALFORMED", "patient_id REQUIRED", "reason REQUIRED"])
    #expect(try await cancel(clinic) == .init())
    #expect(try await clinic.commits() == 0)
  }

  @Test("DOMAIN 8: a repeated request answers the same and cancels nothing that was booked since")
  func replay() async throws {
    let clinic = Clinic()
    for day in 10...14 { try await clinic.create(clinic.appointment("2025-12-\(day)")) }
    let first = try await cancel(clinic, requestID: Self.requestID)
    let since = try await clinic.create(clinic.appointment("2025-12-10"))
    let context = clinic.context()
    let second = try await cancel(clinic, requestID: Self.requestID, context: context)
    #expect(second.cancelledAppointmentIds == first.cancelledAppointmentIds && second.remainingCount == 1)
    #expect(context.trailingMetadata["idempotent-replayed"] == "true")
    #expect(try await clinic.get(since.id).appointment?.status == .scheduled)
    let reused = try await failure { try await cancel(clinic, requestID: Self.requestID, reason: "another") }
    #expect(reused.reason == "REQUEST_ID_REUSED")
  }

  @Test("DOMAIN 8: a request that broke off goes on where it was, and tells all it cancelled", arguments: 0...5)
  func resumption(transactions: Int) async throws {
    let clinic = Clinic()
    var ids: [String] = []
    for day in 10...14 { ids.append(try await clinic.create(clinic.appointment("2025-12-\(day)")).id) }
    let broken = AppointmentHandlers.assembled(
      tables: FailingStore(clinic.store, transactions: transactions), patients: clinic.directory,
      pageTokens: clinic.handlers.pageTokens, clock: clinic.handlers.clock, defaultTimeZone: "UTC")
    let error = try await failure { try await cancel(clinic, requestID: Self.requestID, handlers: broken) }
    #expect(error.reason == "STORE_UNAVAILABLE")
    let done = try await clinic.list { $0.statuses = [.cancelled] }.appointments.map(\.id)
    #expect(done == Array(ids.prefix(transactions)))
    let answer = try await cancel(clinic, requestID: Self.requestID)
    #expect(answer.cancelledAppointmentIds == ids && answer.remainingCount == 0)
    for id in ids { #expect(try await clinic.get(id).appointment?.version == 2) }
  }

  @Test("DOMAIN 8: what broke off is recognized with another payload too")
  func reusedAfterBreak() async throws {
    let clinic = Clinic()
    for day in 10...12 { try await clinic.create(clinic.appointment("2025-12-\(day)")) }
    let broken = AppointmentHandlers.assembled(
      tables: FailingStore(clinic.store, transactions: 1), patients: clinic.directory,
      pageTokens: clinic.handlers.pageTokens, clock: clinic.handlers.clock, defaultTimeZone: "UTC")
    _ = try await failure { try await cancel(clinic, requestID: Self.requestID, handlers: broken) }
    let reused = try await failure { try await cancel(clinic, requestID: Self.requestID, reason: "another") }
    #expect(reused.reason == "REQUEST_ID_REUSED")
  }

  @Test("DOMAIN 8: duplicates that run side by side cancel each appointment once", arguments: ["", requestID])
  func duplicates(requestID: String) async throws {
    let clinic = Clinic()
    for day in 10...19 { try await clinic.create(clinic.appointment("2025-12-\(day)")) }
    let answers = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<4 {
        group.addTask { try await self.cancel(clinic, requestID: requestID).cancelledAppointmentIds }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    let all = try await clinic.list().appointments
    #expect(all.allSatisfy { $0.status == .cancelled && $0.version == 2 })
    #expect(Set(answers.flatMap { $0 }) == Set(all.map(\.id)))
    #expect(requestID.isEmpty || answers.allSatisfy { $0 == all.map(\.id) })
  }

  @Test("one request cancels 1,000 at most, the first ones, and tells how many are left")
  func limit() async throws {
    let clinic = Clinic()
    let template = try await clinic.template()
    try await clinic.change(template.id, to: .cancelled, reason: "r")
    let records = (0..<1002).map { template.copy(quarter: $0 * 2) }
    try await clinic.put(records.shuffled())
    let first = try await cancel(clinic, requestID: Self.requestID)
    #expect(first.cancelledAppointmentIds == records.prefix(1000).map(\.id) && first.remainingCount == 2)
    #expect(try await cancel(clinic, requestID: Self.requestID) == first)
    let rest = try await cancel(clinic)
    #expect(rest.cancelledAppointmentIds == records.suffix(2).map(\.id) && rest.remainingCount == 0)
  }
}
