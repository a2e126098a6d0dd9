import CivilTime
import Contract
import Identity
import RPC
import Storage
import Testing

@testable import AppointmentService

@Suite("DOMAIN 5 and 8: creating, changing and deleting time blocks")
struct TimeBlockTests {
  @Test("the stored item has the document's attributes and values")
  func document() async throws {
    let clinic = Clinic()
    let id = try await clinic.blockID(
      clinic.block {
        $0.recur(.weekly, until: "2025-12-31") { $0.daysOfWeek = [.friday, .monday, .wednesday] }
      })
    let stored = try await clinic.store.get(ItemKey(id, Clinic.clinician), from: Tables.timeBlocks)
    let item = try #require(stored)
    #expect(item["date"] == "2025-12-10" && item["startTime"] == "12:00" && item["endTime"] == "13:00")
    #expect(item["reason"] == "Lunch" && item["type"] == "break" && item["createdBy"] == "clinician-1")
    #expect(item["createdAt"]?.stringValue.flatMap { Instant($0) } == Instant("2025-12-01T15:00:00Z"))
    #expect(
      item["recurrence"]
        == .map([
          "type": "weekly", "endDate": "2025-12-31", "daysOfWeek": .list([1, 3, 5]), "interval": 1,
        ]))
  }

  @Test("appointments that have not ended and are not cancelled stand in the way of any occurrence, however far")
  func conflicts() async throws {
    let clinic = Clinic()
    let far = try await clinic.create(clinic.appointment("2031-03-12", "12:45")).id
    let near = try await clinic.create(clinic.appointment("2025-12-10", "11:45")).id
    let cancelled = try await clinic.create(clinic.appointment("2025-12-11", "12:00")).id
    try await clinic.change(cancelled, to: .cancelled, reason: "r")
    try await clinic.create(clinic.appointment("2025-12-12", "13:00"))
    let error = try await failure { try await clinic.createBlock(clinic.block { $0.recur(.daily) }) }
    #expect(error.code == .failedPrecondition && error.reason == "BLOCK_CONFLICTS_WITH_APPOINTMENTS")
    #expect(error.info == ["conflict_count": "2"])
    #expect(
      error.conflicts == [
        .init(type: "APPOINTMENT", subject: near, description: "2025-12-10 11:45–12:15 America/Toronto"),
        .init(type: "APPOINTMENT", subject: far, description: "2031-03-12 12:45–13:15 America/Toronto"),
      ])
    #expect(error.slotConflict?.conflictCount == 2 && error.slotConflict?.suggestedStarts.isEmpty == true)
    // The end date leaves the far one out, the exclusion the near one.
    try await clinic.createBlock(
      clinic.block { $0.recur(.daily, until: "2031-03-11") { $0.excludedDates = ["2025-12-10"] } })
  }

  @Test("what has ended is in nobody's way; what is running is")
  func past() async throws {
    let clinic = Clinic(now: "2025-12-01T15:00:00Z")
    try await clinic.create(clinic.appointment("2025-12-01", "12:00"))
    // 12:30 in Toronto: over. A minute before: not yet.
    clinic.clock.set("2025-12-01T17:29:00Z")
    let error = try await failure { try await clinic.createBlock(clinic.block("2025-12-01")) }
    #expect(error.reason == "BLOCK_CONFLICTS_WITH_APPOINTMENTS")
    clinic.clock.set("2025-12-01T17:30:00Z")
    try await clinic.createBlock(clinic.block("2025-12-01"))
  }

  @Test("force blocks anyway, keeps the appointments and answers them without notes and histories")
  func force() async throws {
    let clinic = Clinic()
    var appointment = clinic.appointment("2025-12-10", "12:00")
    appointment.notes = "private"
    let id = try await clinic.create(appointment).id
    let key = "11111111-1111-4111-8111-111111111111"
    let made = try await clinic.createBlock(clinic.block(), force: true, requestID: key)
    #expect(made.affectedAppointmentCount == 1 && made.affectedAppointments.map(\.id) == [id])
    let affected = try #require(made.affectedAppointments.first)
    #expect(affected.notes == nil && affected.notesHistory.isEmpty && affected.statusHistory.isEmpty)
    #expect(try await clinic.get(id).appointment?.status == .scheduled)
    let commits = try await clinic.commits()
    #expect(try await clinic.createBlock(clinic.block(), force: true, requestID: key) == made)
    #expect(try await clinic.commits() == commits)
  }

  @Test("blocks may overlap each other, and each is counted")
  func union() async throws {
    let clinic = Clinic()
    let first = try await clinic.blockID(clinic.block())
    let second = try await clinic.blockID(clinic.block("2025-12-10", "12:30", "14:00"))
    let error = try await failure { try await clinic.create(clinic.appointment("2025-12-10", "12:45")) }
    #expect(error.conflicts.map(\.subject) == [first, second])
    try await clinic.deleteBlock(first)
    let rest = try await failure { try await clinic.create(clinic.appointment("2025-12-10", "12:45")) }
    #expect(rest.conflicts.map(\.subject) == [second])
  }

  @Test("deleting is for good: a second time, and for another clinician, there is no such block")
  func delete() async throws {
    let clinic = Clinic()
    let id = try await clinic.blockID(clinic.block())
    let other = Principal(id: "clinician-2", role: .clinician)
    #expect(try await failure { try await clinic.getBlock(id, as: other) }.reason == "TIME_BLOCK_NOT_FOUND")
    let stale = try await failure { try await clinic.deleteBlock(id, etag: "\"2\"") }
    #expect(stale.code == .aborted && stale.reason == "ETAG_MISMATCH" && stale.info["etag"] == "\"1\"")
    let key = "11111111-1111-4111-8111-111111111111"
    try await clinic.deleteBlock(id, etag: "\"1\"", requestID: key)
    // The same request again is answered as it was.
    try await clinic.deleteBlock(id, etag: "\"1\"", requestID: key)
    let again = try await failure { try await clinic.deleteBlock(id) }
    #expect(again.code == .notFound && again.reason == "TIME_BLOCK_NOT_FOUND")
    #expect(try await failure { try await clinic.getBlock(id) }.reason == "TIME_BLOCK_NOT_FOUND")
    let head = try await clinic.handlers.store.scheduleHead(of: Clinic.clinician)
    #expect(head.blockCount == 0)
  }
}

@Suite("DOMAIN 5 and 8: UpdateTimeBlock")
struct UpdateTimeBlockTests {
  private func changed(
    _ block: AppointmentV1.TimeBlock, _ change: (inout AppointmentV1.TimeBlock) -> Void
  ) -> AppointmentV1.TimeBlock {
    var block = block
    change(&block)
    return block
  }

  @Test("the masked fields change, one version at a time; the same values change nothing")
  func mask() async throws {
    let clinic = Clinic()
    let made = try #require(try await clinic.createBlock(clinic.block { $0.recur(.daily) }).timeBlock)
    let asked = changed(made) {
      ($0.reason, $0.endTime) = ("Meeting", "12:30")
      $0.recurrence?.endDate = "2025-12-31"
    }
    let updated = try #require(
      try await clinic.updateBlock(asked, ["reason", "recurrence.end_date"], etag: "\"1\"").timeBlock)
    #expect(updated.reason == "Meeting" && updated.endTime == "13:00" && updated.version == 2)
    #expect(updated.recurrence?.endDate == "2025-12-31" && updated.recurrence?.type == .daily)
    #expect(try await clinic.getBlock(made.id) == updated)
    // Another last date is another place in the schedule: the old one is gone, the new one decides.
    #expect(try await clinic.items().filter { $0["blockId"] != nil }.count == 1)
    try await clinic.create(clinic.appointment("2026-01-01", "12:00"))
    #expect(
      try await failure { try await clinic.create(clinic.appointment("2025-12-31", "12:00")) }.reason
        == "SLOT_CONFLICT")
    let commits = try await clinic.commits()
    #expect(try await clinic.updateBlock(updated).timeBlock == updated)
    #expect(try await clinic.commits() == commits)
    #expect(
      try await failure { try await clinic.updateBlock(asked, ["reason"], etag: "\"1\"") }.reason == "ETAG_MISMATCH")
    let single = try await clinic.updateBlock(changed(updated) { $0.recurrence = nil }, ["recurrence"]).timeBlock
    #expect(single?.recurrence == nil && single?.version == 3)
  }

  @Test("growing re-checks appointments, shrinking never does; force does as it says")
  func growth() async throws {
    let clinic = Clinic()
    let made = try #require(
      try await clinic.createBlock(
        clinic.block { $0.recur(.daily) { $0.excludedDates = ["2025-12-12"] } }
      ).timeBlock)
    let inside = try await clinic.create(clinic.appointment("2025-12-12", "12:00")).id
    let after = try await clinic.create(clinic.appointment("2025-12-15", "13:00")).id
    let unexcluded = changed(made) { $0.recurrence?.excludedDates = [] }
    let error = try await failure { try await clinic.updateBlock(unexcluded, ["recurrence.excluded_dates"]) }
    #expect(error.reason == "BLOCK_CONFLICTS_WITH_APPOINTMENTS" && error.conflicts.map(\.subject) == [inside])
    let longer = try await failure {
      try await clinic.updateBlock(changed(made) { $0.endTime = "13:15" }, ["end_time"])
    }
    #expect(longer.conflicts.map(\.subject) == [after])
    let forced = try await clinic.updateBlock(unexcluded, ["recurrence.excluded_dates"], force: true)
    #expect(forced.affectedAppointments.map(\.id) == [inside] && forced.affectedAppointmentCount == 1)
    // It was forced upon that appointment: less of the same is no new conflict, more of it is.
    try await clinic.updateBlock(changed(made) { $0.startTime = "12:15" }, ["start_time"])
    let again = try await failure {
      try await clinic.updateBlock(changed(made) { $0.startTime = "12:00" }, ["start_time"])
    }
    #expect(again.conflicts.map(\.subject) == [inside])
  }

  @Test("what is wrong with a mask and with the named fields is told at once")
  func refused() async throws {
    let clinic = Clinic()
    let id = try await clinic.blockID(clinic.block())
    let wrong = clinic.block("x", "y") { $0.id = id }
    let error = try await failure { try await clinic.updateBlock(wrong, ["date", "created_by", "color"]) }
    #expect(
      error.fields == [
        "update_mask.paths[1] FIELD_NOT_UPDATABLE", "update_mask.paths[2] UNKNOWN_FIELD", "time_block.date MALFORMED",
      ])
    let late = clinic.block("2025-12-10", "14:00") { $0.id = id }
    #expect(
      try await failure { try await clinic.updateBlock(late, ["start_time"]) }.fields
        == ["time_block.end_time OUT_OF_RANGE"])
    let unknown = clinic.block { $0.id = "11111111-1111-4111-8111-111111111111" }
    #expect(try await failure { try await clinic.updateBlock(unknown) }.reason == "TIME_BLOCK_NOT_FOUND")
  }
}
