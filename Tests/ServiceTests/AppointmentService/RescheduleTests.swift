import CivilTime
import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("RescheduleAppointment (DOMAIN 4)")
struct RescheduleTests {
  private func move(
    _ clinic: Clinic, _ id: String, _ change: (inout AppointmentV1.RescheduleAppointmentRequest) -> Void
  ) async throws -> AppointmentV1.Appointment {
    var request = AppointmentV1.RescheduleAppointmentRequest()
    request.appointmentId = id
    change(&request)
    return try await clinic.handlers.rescheduleAppointment(request, context: clinic.context()).appointment ?? .init()
  }

  @Test("what is absent stays; the change is remembered, status and creation are kept")
  func moved() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    try await clinic.change(made.id, to: .confirmed)
    let moved = try await move(clinic, made.id) { $0.time = "14:15" }
    #expect(moved.date == made.date && moved.time == "14:15" && moved.duration == 30 && moved.status == .confirmed)
    #expect(moved.version == 3 && moved.createdAt == made.createdAt && moved.createdBy == made.createdBy)
    let entry = try #require(moved.rescheduleHistory.first)
    #expect(moved.rescheduleHistory.count == 1 && entry.oldStartTime == made.startTime)
    #expect(entry.newStartTime == moved.startTime && entry.oldDuration == 30 && entry.newDuration == 30)
    #expect(try await clinic.findings() == [])
    // The old time is free but for the overlap.
    try await clinic.create(clinic.appointment("2025-12-10", "14:00", duration: 15))
  }

  @Test("another's time is refused and nothing changes")
  func taken() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    try await clinic.create(clinic.appointment("2025-12-10", "15:00"))
    let commits = try await clinic.commits()
    let error = try await failure { try await move(clinic, made.id) { $0.duration = 90 } }
    #expect(error.reason == "SLOT_CONFLICT")
    #expect(try await clinic.commits() == commits)
  }

  @Test("the same values change nothing")
  func same() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    let commits = try await clinic.commits()
    #expect(try await move(clinic, made.id) { $0.date = "2025-12-10" } == made)
    #expect(try await clinic.commits() == commits)
  }

  @Test("only scheduled and confirmed appointments move, not into the past, and only with an active patient")
  func refused() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    let past = try await failure { try await move(clinic, made.id) { $0.date = "2025-11-30" } }
    #expect(past.fields == ["date APPOINTMENT_IN_PAST"])
    let gap = try await failure {
      try await move(clinic, made.id) {
        $0.date = "2026-03-08"
        $0.time = "02:30"
      }
    }
    #expect(gap.fields == ["time NONEXISTENT_LOCAL_TIME"])
    clinic.directory.set { $0.standings[Clinic.patient] = .inactive }
    #expect(try await failure { try await move(clinic, made.id) { $0.time = "16:00" } }.reason == "PATIENT_INACTIVE")
    try await clinic.change(made.id, to: .completed)
    let state = try await failure { try await move(clinic, made.id) { $0.time = "16:00" } }
    #expect(state.reason == "INVALID_STATUS_TRANSITION" && state.info["allowed"] == "SCHEDULED,CONFIRMED")
  }

  @Test("faults are named before anything is read")
  func fields() async throws {
    let clinic = Clinic()
    let error = try await failure {
      try await move(clinic, "x") {
        $0.date = "2025-2-1"
        $0.time = "25:00"
        $0.duration = 0
        $0.timeZone = "GMT+5"
      }
    }
    #expect(
      error.fields == [
        "appointment_id MALFORMED", "date MALFORMED", "time MALFORMED", "duration OUT_OF_RANGE",
        "time_zone UNKNOWN_TIME_ZONE",
      ])
    let nothing = try await failure { try await move(clinic, Clinic.patient) { _ in } }
    #expect(nothing.fields == ["date REQUIRED"])
  }

  @Test("a new zone means other instants for the same local time")
  func zone() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    let moved = try await move(clinic, made.id) { $0.timeZone = "Europe/Berlin" }
    #expect(moved.date == made.date && moved.time == made.time && moved.timeZone == "Europe/Berlin")
    #expect(moved.startTime?.seconds == Instant("2025-12-10T13:00:00Z")?.seconds)
    #expect(try await clinic.findings() == [])
  }
}
