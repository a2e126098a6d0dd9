import CivilTime
import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("DOMAIN 4: what blocks time, and how a conflict is told")
struct SlotConflictTests {
  @Test(
    "ranges are half-open on instants",
    arguments: [
      ("13:30", 30, false), ("13:31", 30, true), ("14:15", 15, true), ("13:00", 180, true), ("14:29", 15, true),
      ("14:30", 30, false), ("13:15", 45, false),
    ])
  func edges(time: String, minutes: Int32, conflicts: Bool) async throws {
    let clinic = Clinic()
    try await clinic.create(clinic.appointment("2025-12-10", "14:00", duration: 30))
    let result = await Result { try await clinic.create(clinic.appointment("2025-12-10", time, duration: minutes)) }
    #expect(result.failureStatus?.reason == (conflicts ? "SLOT_CONFLICT" : nil))
  }

  @Test("only the same clinician's time is taken")
  func otherClinician() async throws {
    let clinic = Clinic()
    try await clinic.create(clinic.appointment())
    #expect(
      try await clinic.create(clinic.appointment(), as: Principal(id: "clinician-2", role: .clinician)).version == 1)
  }

  @Test(
    "an appointment over midnight, and over UTC's midnight, blocks both days",
    arguments: [
      ("2025-12-10", "23:30", "2025-12-11", "00:15"), ("2025-12-10", "18:30", "2025-12-10", "19:15"),
    ])
  func midnight(date: String, time: String, otherDate: String, otherTime: String) async throws {
    let clinic = Clinic()
    try await clinic.create(clinic.appointment(date, time, duration: 60))
    let error = try await failure { try await clinic.create(clinic.appointment(otherDate, otherTime, duration: 15)) }
    #expect(error.reason == "SLOT_CONFLICT")
    #expect(try await clinic.findings() == [])
  }

  @Test("other zones meet on the same instants")
  func zones() async throws {
    let clinic = Clinic()
    try await clinic.create(clinic.appointment("2025-12-10", "19:00"))
    var tokyo = clinic.appointment("2025-12-11", "09:15")
    tokyo.timeZone = "Asia/Tokyo"
    let asked = tokyo
    let error = try await failure { try await clinic.create(asked) }
    #expect(error.conflicts.first?.description == "2025-12-11 09:00–09:30 Asia/Tokyo")
  }

  static let statuses: [(AppointmentV1.AppointmentStatus, Bool)] = [
    (.confirmed, true), (.completed, true), (.noShow, true), (.cancelled, false),
  ]

  @Test("every status but cancelled blocks", arguments: statuses)
  func blocking(status: AppointmentV1.AppointmentStatus, blocks: Bool) async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    try await clinic.change(id, to: status, reason: "r")
    let result = await Result { try await clinic.create(clinic.appointment()) }
    #expect(result.failureStatus?.reason == (blocks ? "SLOT_CONFLICT" : nil))
  }

  @Test("the error names the conflict, counts it, and suggests the next three starts")
  func details() async throws {
    let clinic = Clinic()
    let taken = try await clinic.create(clinic.appointment("2025-12-10", "14:00"))
    try await clinic.create(clinic.appointment("2025-12-10", "14:45"))
    let error = try await failure { try await clinic.create(clinic.appointment("2025-12-10", "14:15", duration: 15)) }
    #expect(error.code == .failedPrecondition && error.reason == "SLOT_CONFLICT")
    #expect(error.info == ["conflict_count": "1"])
    #expect(
      error.conflicts == [
        .init(type: "APPOINTMENT", subject: taken.id, description: "2025-12-10 14:00–14:30 America/Toronto")
      ])
    let detail = try #require(error.slotConflict)
    #expect(detail.conflictCount == 1 && detail.requestIndex == nil)
    #expect(detail.suggestedStarts.map(\.time) == ["14:30", "15:15", "15:30"])
    #expect(detail.suggestedStarts.map(\.date) == ["2025-12-10", "2025-12-10", "2025-12-10"])
  }

  @Test(
    "every suggestion is given to a booking, in zones that change their clocks",
    arguments: [
      ("America/Toronto", "2026-03-07", "23:00"), ("America/Toronto", "2026-10-31", "23:00"),
      ("Australia/Lord_Howe", "2026-04-04", "23:30"), ("Asia/Kolkata", "2026-04-04", "09:00"),
    ])
  func suggestions(zone: String, date: String, time: String) async throws {
    let clinic = Clinic(zone: zone)
    try await clinic.create(clinic.appointment(date, time, duration: 180))
    for _ in 0..<20 {
      let error = try await failure { try await clinic.create(clinic.appointment(date, time, duration: 30)) }
      let starts = try #require(error.slotConflict).suggestedStarts
      #expect(starts.count == 3)
      let first = try #require(starts.first)
      var next = clinic.appointment(first.date, first.time, duration: 30)
      next.fold = first.fold
      let made = try await clinic.create(next)
      #expect(made.startTime == first.startTime && made.endTime == first.endTime)
    }
    #expect(try await clinic.findings() == [])
  }

  @Test("nothing is suggested when two weeks are full")
  func full() async throws {
    let clinic = Clinic()
    for day in 10...25 { try await clinic.create(clinic.appointment("2025-12-\(day)", "00:00", duration: 1440)) }
    let error = try await failure { try await clinic.create(clinic.appointment("2025-12-10", "09:00")) }
    #expect(error.slotConflict?.suggestedStarts.isEmpty == true)
  }

  @Test("twenty conflicts are named in the order of time, all are counted, within 4 KiB as base64")
  func many() async throws {
    let clinic = Clinic(zone: "America/Argentina/Buenos_Aires")
    for quarter in (0..<96).reversed() {
      let time = CivilTimeText.of(minutes: quarter * 15)
      try await clinic.create(clinic.appointment("2025-12-10", time, duration: 15))
    }
    let error = try await failure { try await clinic.create(clinic.appointment("2025-12-10", "00:00", duration: 1440)) }
    #expect(error.info["conflict_count"] == "96" && error.slotConflict?.conflictCount == 96)
    #expect(error.conflicts.count == 20)
    #expect(error.conflicts.map(\.description) == error.conflicts.map(\.description).sorted())
    #expect(error.conflicts.first?.description.contains(" 00:00–00:15 ") == true)
    // Strings alone; the frame around them is small.
    let bytes = error.conflicts.reduce(0) {
      $0 + $1.type.utf8.count + $1.subject.utf8.count + $1.description.utf8.count
    }
    #expect(bytes < 3072)
  }
}

enum CivilTimeText {
  static func of(minutes: Int) -> String {
    let (hour, minute) = (minutes / 60, minutes % 60)
    return (hour < 10 ? "0" : "") + "\(hour):" + (minute < 10 ? "0" : "") + "\(minute)"
  }
}
