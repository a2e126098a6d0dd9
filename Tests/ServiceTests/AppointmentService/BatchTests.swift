import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("Batches (DOMAIN 4, 8)")
struct BatchTests {
  private func batch(
    _ clinic: Clinic, _ appointments: [AppointmentV1.Appointment], requestID: String = "",
    _ adjust: (inout AppointmentV1.BatchCreateAppointmentsRequest) -> Void = { _ in }
  ) async throws -> [AppointmentV1.Appointment] {
    var request = AppointmentV1.BatchCreateAppointmentsRequest()
    request.requestId = requestID
    request.requests = appointments.map { appointment in
      var item = AppointmentV1.CreateAppointmentRequest()
      item.appointment = appointment
      return item
    }
    adjust(&request)
    return try await clinic.handlers.batchCreateAppointments(request, context: clinic.context()).appointments
  }

  private func appointments(_ clinic: Clinic, _ count: Int) -> [AppointmentV1.Appointment] {
    (0..<count).map { clinic.appointment("2025-12-10", CivilTimeText.of(minutes: $0 * 30), duration: 30) }
  }

  @Test("25 are booked in one transaction, with one question to the patient service")
  func whole() async throws {
    let clinic = Clinic()
    let id = "11111111-1111-4111-8111-111111111111"
    let made = try await batch(clinic, appointments(clinic, 25), requestID: id)
    #expect(made.count == 25 && Set(made.map(\.id)).count == 25 && clinic.directory.calls == 1)
    #expect(try await clinic.commits() == 1)
    #expect(try await clinic.findings() == [])
    #expect(try await batch(clinic, appointments(clinic, 25), requestID: id) == made)
  }

  @Test("25 that cross midnight fit into one transaction")
  func midnights() async throws {
    let clinic = Clinic(zone: "UTC")
    let asked = (1...25).map { index in
      clinic.appointment(index < 13 ? "2026-01-\(index + 11)" : "2026-02-\(index)", "23:30", duration: 60)
    }
    #expect(try await batch(clinic, asked).count == 25)
    #expect(try await clinic.findings() == [])
  }

  @Test("one conflict refuses all; the error names the request, and one of the batch by its place")
  func conflicts() async throws {
    let clinic = Clinic()
    let stored = try await clinic.create(clinic.appointment("2025-12-10", "20:00"))
    let commits = try await clinic.commits()
    let error = try await failure {
      try await batch(clinic, appointments(clinic, 3) + [clinic.appointment("2025-12-10", "20:15")])
    }
    #expect(error.slotConflict?.requestIndex == 3 && error.conflicts.map(\.subject) == [stored.id])
    let inner = try await failure {
      try await batch(clinic, appointments(clinic, 3) + [clinic.appointment("2025-12-10", "00:45", duration: 15)])
    }
    #expect(inner.slotConflict?.requestIndex == 3 && inner.conflicts.map(\.subject) == ["requests[1]"])
    #expect(inner.slotConflict?.suggestedStarts.first?.time == "01:30")
    #expect(try await clinic.commits() == commits)
  }

  @Test("faults carry the place of their request")
  func faults() async throws {
    let clinic = Clinic()
    let error = try await failure {
      try await batch(clinic, appointments(clinic, 3)) {
        $0.requests[0].appointment = nil
        $0.requests[1].appointment?.time = "x"
        $0.requests[2].userId = "clinician-2"
        $0.requests[2].validateOnly = true
      }
    }
    #expect(
      error.fields == [
        "requests[0].appointment REQUIRED", "requests[1].appointment.time MALFORMED",
        "requests[2].user_id MALFORMED", "requests[2].validate_only MALFORMED",
      ])
  }

  @Test("limits hold at n and n + 1", arguments: [(0, "requests REQUIRED"), (26, "requests OUT_OF_RANGE")])
  func limits(count: Int, fault: String) async throws {
    let clinic = Clinic()
    #expect(try await failure { try await batch(clinic, appointments(clinic, count)) }.fields == [fault])
  }

  @Test("allow_past of one request is its own")
  func past() async throws {
    let clinic = Clinic()
    let asked = [clinic.appointment("2025-11-01"), clinic.appointment("2025-11-02")]
    let error = try await failure { try await batch(clinic, asked) { $0.requests[0].allowPast = true } }
    #expect(error.fields == ["requests[1].appointment.date APPOINTMENT_IN_PAST"])
    #expect(try await batch(clinic, asked) { $0.allowPast = true }.count == 2)
  }

  @Test("reading answers what exists in the order asked, once each, and names the rest")
  func read() async throws {
    let clinic = Clinic()
    let made = try await batch(clinic, appointments(clinic, 3))
    let unknown = "22222222-2222-4222-8222-222222222222"
    var request = AppointmentV1.BatchGetAppointmentsRequest()
    request.appointmentIds = [made[2].id, unknown.uppercased(), made[0].id.uppercased(), made[2].id]
    let answer = try await clinic.handlers.batchGetAppointments(request, context: clinic.context())
    #expect(answer.appointments == [made[2], made[0]] && answer.missingAppointmentIds == [unknown])
    let foreign = Principal(id: "clinician-2", role: .clinician)
    let none = try await clinic.handlers.batchGetAppointments(request, context: clinic.context(foreign))
    #expect(none.appointments.isEmpty && none.missingAppointmentIds.count == 3)
    request.appointmentIds = Array(repeating: "x", count: 101)
    let wrong = request
    let error = try await failure {
      try await clinic.handlers.batchGetAppointments(wrong, context: clinic.context())
    }
    #expect(error.fields.first == "appointment_ids OUT_OF_RANGE" && error.info["violation_count"] == "101")
  }
}
