import Contract
import Identity
import RPC
import Testing

@testable import AppointmentService

@Suite("DOMAIN 4 and 5: time blocks block every instant of their occurrences")
struct TimeBlockBookingTests {
  @Test("a daily lunch from 10 to 31 December blocks 12:30 on the 20th, in the words of the conflict report")
  func lunch() async throws {
    let clinic = Clinic()
    let id = try await clinic.blockID(clinic.block { $0.recur(.daily, until: "2025-12-31") })
    let error = try await failure { try await clinic.create(clinic.appointment("2025-12-20", "12:30", duration: 30)) }
    #expect(error.code == .failedPrecondition && error.reason == "SLOT_CONFLICT")
    #expect(error.info == ["conflict_count": "1"])
    #expect(
      error.conflicts == [
        .init(type: "TIME_BLOCK", subject: id, description: "2025-12-20 12:00–13:00 America/Toronto")
      ])
    // Suggestions avoid the block, too.
    #expect(error.slotConflict?.suggestedStarts.map(\.time) == ["13:00", "13:15", "13:30"])
  }

  @Test(
    "occurrences are half-open, and there are none before the date or after the end date",
    arguments: [
      ("2025-12-20", "11:30", 30, false), ("2025-12-20", "11:30", 45, true), ("2025-12-20", "12:45", 15, true),
      ("2025-12-20", "13:00", 30, false), ("2025-12-20", "11:00", 180, true), ("2025-12-09", "12:00", 30, false),
      ("2025-12-10", "12:00", 30, true), ("2025-12-31", "12:00", 30, true), ("2026-01-01", "12:00", 30, false),
      // From the evening before over the whole of the next day's lunch.
      ("2025-12-09", "23:00", 1440, true), ("2025-12-31", "23:00", 1440, false),
    ])
  func edges(date: String, time: String, minutes: Int32, conflicts: Bool) async throws {
    let clinic = Clinic()
    try await clinic.createBlock(clinic.block { $0.recur(.daily, until: "2025-12-31") })
    let result = await Result { try await clinic.create(clinic.appointment(date, time, duration: minutes)) }
    #expect(result.failureStatus?.reason == (conflicts ? "SLOT_CONFLICT" : nil))
  }

  @Test("a block without end blocks its weekdays for ever, by its own zone's clock across changes of clocks")
  func forever() async throws {
    let clinic = Clinic(zone: "UTC")
    try await clinic.createBlock(
      clinic.block("2025-12-10", "09:00", "10:00") {
        $0.timeZone = "America/Toronto"
        $0.recur(.weekly) { $0.daysOfWeek = [.monday, .wednesday] }
      })
    // Wednesdays; Toronto is UTC−5 in winter and UTC−4 in summer.
    for (date, taken, free) in [("2026-01-07", "14:30", "13:30"), ("2040-07-04", "13:30", "14:30")] {
      let error = try await failure { try await clinic.create(clinic.appointment(date, taken, duration: 15)) }
      #expect(error.conflicts.map(\.type) == ["TIME_BLOCK"])
      try await clinic.create(clinic.appointment(date, free, duration: 15))
    }
    try await clinic.create(clinic.appointment("2026-01-08", "14:30"))
  }

  @Test("both passes of a fold are covered, and what a gap skips is not")
  func clocks() async throws {
    let clinic = Clinic()
    try await clinic.createBlock(clinic.block("2026-11-01", "01:00", "02:00"))
    for fold in [AppointmentV1.Fold.earlier, .later] {
      var appointment = clinic.appointment("2026-11-01", "01:30", duration: 15)
      appointment.fold = fold
      let asked = appointment
      #expect(try await failure { try await clinic.create(asked) }.reason == "SLOT_CONFLICT")
    }
    try await clinic.createBlock(clinic.block("2026-03-08", "02:00", "03:00"))
    try await clinic.create(clinic.appointment("2026-03-08", "01:30", duration: 60))
  }

  @Test("24:00 is the end of the day; the next day is free")
  func endOfDay() async throws {
    let clinic = Clinic()
    try await clinic.createBlock(clinic.block("2025-12-10", "20:00", "24:00"))
    #expect(
      try await failure { try await clinic.create(clinic.appointment("2025-12-10", "23:45", duration: 15)) }.reason
        == "SLOT_CONFLICT")
    try await clinic.create(clinic.appointment("2025-12-11", "00:00"))
  }

  @Test("batches, reschedules and reinstatements meet blocks as well")
  func otherDecisions() async throws {
    let clinic = Clinic()
    let moved = try await clinic.create(clinic.appointment("2025-12-10", "09:00")).id
    let cancelled = try await clinic.create(clinic.appointment("2025-12-10", "12:00")).id
    try await clinic.change(cancelled, to: .cancelled, reason: "r")
    try await clinic.createBlock(clinic.block())

    var reschedule = AppointmentV1.RescheduleAppointmentRequest()
    reschedule.appointmentId = moved
    reschedule.time = "12:15"
    let asked = reschedule
    let refused = try await failure {
      try await clinic.handlers.rescheduleAppointment(asked, context: clinic.context())
    }
    #expect(refused.conflicts.map(\.type) == ["TIME_BLOCK"])
    let reinstated = try await failure { try await clinic.change(cancelled, to: .scheduled) }
    #expect(reinstated.conflicts.map(\.type) == ["TIME_BLOCK"])

    var batch = AppointmentV1.BatchCreateAppointmentsRequest()
    batch.requests = ["10:00", "12:30"].map { time in
      var item = AppointmentV1.CreateAppointmentRequest()
      item.appointment = clinic.appointment("2025-12-10", time)
      return item
    }
    let items = batch
    let error = try await failure {
      try await clinic.handlers.batchCreateAppointments(items, context: clinic.context())
    }
    #expect(error.conflicts.map(\.type) == ["TIME_BLOCK"] && error.slotConflict?.requestIndex == 1)
    #expect(try await clinic.findings() == [])
  }

  @Test("a deleted block's time is free at once; another clinician's was free all along")
  func free() async throws {
    let clinic = Clinic()
    let id = try await clinic.blockID(clinic.block { $0.recur(.daily) })
    let other = Principal(id: "clinician-2", role: .clinician)
    try await clinic.create(clinic.appointment("2025-12-10", "12:00"), as: other)
    try await clinic.deleteBlock(id)
    try await clinic.create(clinic.appointment("2025-12-10", "12:00"))
    #expect(try await clinic.items().filter { $0["blockId"] != nil }.isEmpty)
  }
}
