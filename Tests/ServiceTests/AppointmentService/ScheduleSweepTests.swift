import Contract
import StandardProtos
import Storage
import Testing

@testable import AppointmentService

/// Each kind of damage is found and named: a working clinic's items with one thing wrong (DESIGN 6, invariants).
@Suite struct ScheduleSweepTests {
  typealias Stored = (table: TableSchema, item: Item)

  /// A booking with a linked transcription, a cancelled booking, a time block.
  private func stored() async throws -> [Stored] {
    let clinic = Clinic()
    var update = AppointmentV1.UpdateAppointmentRequest()
    update.appointment = try await clinic.create(clinic.appointment())
    update.appointment?.transcriptionId = "t-1"
    update.updateMask = GoogleProtobuf.FieldMask()
    update.updateMask?.paths = ["transcription_id"]
    _ = try await clinic.handlers.updateAppointment(update, context: clinic.context())
    let cancelled = try await clinic.create(clinic.appointment("2025-12-11")).id
    try await clinic.change(cancelled, to: .cancelled, reason: "ill")
    try await clinic.createBlock(clinic.block())
    var stored: [Stored] = []
    for table in Tables.all { stored += try await clinic.items(of: table).map { (table, $0) } }
    return stored
  }

  private func problems(_ stored: [Stored]) -> [String] {
    var sweep = ScheduleSweep()
    for (table, item) in stored { sweep.add(item, of: table) }
    return sweep.problems()
  }

  @Test("what the service wrote is well")
  func well() async throws {
    #expect(problems(try await stored()) == [])
  }

  @Test(
    "a missing item is found",
    arguments: [
      ("schedule#clinician-1", "head", "has no schedule head"),
      ("schedule#clinician-1", "day#", "the schedule of clinician clinician-1 for 2025-12-10 differs"),
      ("schedule#clinician-1", "block#", "differs from its rule in the schedule"),
      ("transcription#t-1", "", "the link of transcription t-1"),
    ])
  func missing(partition: String, sort: String, problem: String) async throws {
    let rest = try await stored().filter { stored in
      stored.item["id"]?.stringValue != partition || stored.item["userId"]?.stringValue?.hasPrefix(sort) != true
    }
    #expect(problems(rest).contains { $0.contains(problem) })
  }

  @Test("a missing appointment, and a missing time block, are found by what the schedule says")
  func missingRecords() async throws {
    let stored = try await stored()
    let booked = stored.filter { $0.item["transcriptionId"] == nil }
    #expect(problems(booked).contains { $0.contains("for 2025-12-10 differs from the appointments") })
    let unblocked = stored.filter { $0.table.name != Tables.timeBlocks.name }
    #expect(problems(unblocked).contains { $0.contains("differs from its rule in the schedule") })
  }

  @Test(
    "a changed item is found",
    arguments: [
      ("blockCount", AttributeValue.number(2), "counts other time blocks than there are"),
      ("status", "cancelled", "and its cancellation differ"),
      ("status", "completed", "is broken"),
      ("historyCount", .number(7), "is broken"),
      ("startTime", "2025-12-10T19:15:00Z", "differs from the appointments"),
      ("appointmentId", "another", "the link of transcription t-1"),
      ("endTime", "a quarter past one", "does not have the form of its kind"),
    ])
  func changed(attribute: String, value: AttributeValue, problem: String) async throws {
    var changed = false
    let stored = try await stored().map { stored in
      let isAppointment = stored.item["patientId"] != nil
      let isMeant = isAppointment ? stored.item["transcriptionId"] != nil : stored.item["orderKey"] == nil
      guard isMeant, stored.item[attribute] != nil else { return stored }
      guard attribute != "endTime" || !isAppointment else { return stored }
      changed = true
      return (stored.table, stored.item.merging([attribute: value]) { $1 })
    }
    #expect(changed)
    #expect(problems(stored).contains { $0.contains(problem) })
  }

  @Test("two appointments at one time are found")
  func overlap() async throws {
    var stored = try await stored()
    var second = try #require(stored.first { $0.item["transcriptionId"] != nil })
    second.item["id"] = "0e984725-c51c-4bf4-9960-e1c80e27aba0"
    second.item["transcriptionId"] = nil
    stored.append(second)
    #expect(problems(stored).contains { $0.contains("take the same time") })
  }
}
