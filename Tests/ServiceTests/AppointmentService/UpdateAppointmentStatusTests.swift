import CivilTime
import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("UpdateAppointmentStatus")
struct UpdateAppointmentStatusTests {
  @Test("DOMAIN 4: cancelling fills cancellation_*, frees the slot, and works while the patient service is down")
  func cancel() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    clinic.clock.set("2025-12-02T09:00:00Z")
    let cancelled = try await clinic.change(id, to: .cancelled, reason: "  patient called  ")
    #expect(cancelled.cancellationReason == "patient called" && cancelled.cancelledBy == Clinic.clinician)
    #expect(cancelled.cancelledAt?.seconds == Instant("2025-12-02T09:00:00Z")?.seconds)
    #expect(cancelled.updatedAt == cancelled.cancelledAt)
    clinic.directory.set { $0.failure = nil }
    try await clinic.create(clinic.appointment())
    #expect(try await clinic.findings() == [])
  }

  @Test("DOMAIN 4: reinstating clears cancellation_*, keeps both entries and takes the slot again")
  func reinstate() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    try await clinic.change(id, to: .cancelled, reason: "ill")
    let calls = clinic.directory.calls
    let reinstated = try await clinic.change(id, to: .scheduled)
    #expect(clinic.directory.calls == calls + 1)
    #expect(reinstated.cancellationReason == nil && reinstated.cancelledAt == nil && reinstated.cancelledBy == nil)
    #expect(reinstated.statusHistory.map(\.status) == [.scheduled, .cancelled, .scheduled])
    #expect(try await failure { try await clinic.create(clinic.appointment()) }.reason == "SLOT_CONFLICT")
  }

  @Test("DOMAIN 4: a taken slot is not reinstated, and says by whom it is taken")
  func reinstateTaken() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    try await clinic.change(id, to: .cancelled, reason: "ill")
    let other = try await clinic.create(clinic.appointment("2025-12-10", "14:15", duration: 15))
    let error = try await failure { try await clinic.change(id, to: .scheduled) }
    #expect(error.reason == "SLOT_CONFLICT" && error.conflicts.map(\.subject) == [other.id])
    #expect(error.slotConflict?.suggestedStarts.first?.time == "14:30")
  }

  @Test("DOMAIN 10: the past is not reinstated; earlier today is")
  func reinstatePast() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    try await clinic.change(id, to: .cancelled, reason: "ill")
    // 00:30 on 11 December in Toronto.
    clinic.clock.set("2025-12-11T05:30:00Z")
    let error = try await failure { try await clinic.change(id, to: .scheduled) }
    #expect(error.code == .failedPrecondition && error.reason == "APPOINTMENT_IN_PAST")
    // 23:30 on 10 December: the appointment began hours ago, today.
    clinic.clock.set("2025-12-11T04:30:00Z")
    #expect(try await clinic.change(id, to: .scheduled).status == .scheduled)
  }

  @Test("DOMAIN 4: reinstating needs an active patient")
  func reinstateInactive() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    try await clinic.change(id, to: .cancelled, reason: "ill")
    clinic.directory.set { $0.standings[Clinic.patient] = .inactive }
    #expect(try await failure { try await clinic.change(id, to: .scheduled) }.reason == "PATIENT_INACTIVE")
  }

  @Test("DOMAIN 8: a stale etag changes nothing and tells the present one")
  func etag() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    try await clinic.change(made.id, to: .confirmed, etag: made.etag)
    let commits = try await clinic.commits()
    let error = try await failure { try await clinic.change(made.id, to: .completed, etag: made.etag) }
    #expect(error.code == .aborted && error.reason == "ETAG_MISMATCH" && error.info == ["etag": "\"2\""])
    #expect(try await clinic.commits() == commits)
  }

  @Test("DOMAIN 8: the etag is compared before the state, existence before both")
  func order() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    let stale = try await failure { try await clinic.change(made.id, to: .scheduled, etag: "\"9\"") }
    #expect(stale.reason == "ETAG_MISMATCH")
    let unknown = "22222222-2222-4222-8222-222222222222"
    let absent = try await failure { try await clinic.change(unknown, to: .scheduled, etag: "\"9\"") }
    #expect(absent.reason == "APPOINTMENT_NOT_FOUND")
    let invalid = try await failure { try await clinic.change(unknown, to: .cancelled) }
    #expect(invalid.fields == ["reason REQUIRED"])
  }

  @Test("faults of fields are named, all at once")
  func fields() async throws {
    let clinic = Clinic()
    let error = try await failure {
      try await clinic.change(
        "no-uuid", to: .unspecified, reason: String(repeating: "x", count: 501), requestID: "neither")
    }
    #expect(
      error.fields == [
        "request_id MALFORMED", "appointment_id MALFORMED", "status REQUIRED", "reason TOO_LONG",
      ])
    let unknown = try await failure { try await clinic.change("", to: .init(rawValue: 77)) }
    #expect(unknown.fields == ["appointment_id REQUIRED", "status OUT_OF_RANGE"])
  }

  @Test("DOMAIN 1: another clinician's appointment is like none")
  func isolation() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    let other = Principal(id: "clinician-2", role: .clinician)
    let foreign = try await failure { try await clinic.get(id, as: other) }
    let unknownID = "22222222-2222-4222-8222-222222222222"
    let unknown = try await failure { try await clinic.get(unknownID, as: other) }
    #expect(foreign.code == .notFound && foreign.code == unknown.code && foreign.message == unknown.message)
    #expect(foreign.details[0] == unknown.details[0] && foreign.details.count == unknown.details.count)
    #expect(foreign.details[1] == .resourceInfo(type: "Appointment", name: id))
    #expect(unknown.details[1] == .resourceInfo(type: "Appointment", name: unknownID))
  }

  @Test("DOMAIN 2: updated_at grows even if the clock stands still or goes back")
  func updatedAt() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment())
    clinic.clock.set("2025-11-01T00:00:00Z")
    let changed = try await clinic.change(made.id, to: .confirmed)
    let before = try #require(made.updatedAt)
    let after = try #require(changed.updatedAt)
    #expect(after.seconds == before.seconds && after.nanos == before.nanos + 1000)
  }

  @Test("DOMAIN 4: the latest 50 entries are inline, the older ones are kept")
  func longHistory() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    for _ in 0..<30 {
      try await clinic.change(id, to: .confirmed)
      try await clinic.change(id, to: .scheduled)
    }
    let appointment = try #require(try await clinic.get(id).appointment)
    #expect(appointment.statusHistory.count == 50 && appointment.version == 61)
    let items = try await clinic.items()
    #expect(items.filter { $0["id"]?.stringValue == "history#\(id)" }.count == 11)
    #expect(try await clinic.findings() == [])
  }
}
