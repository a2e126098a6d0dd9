import Contract
import RPC
import Testing

@testable import AppointmentService

@Suite("DOMAIN 5: the fields of a time block")
struct TimeBlockValidationTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var fields: [String]
    var change: @Sendable (inout AppointmentV1.TimeBlock) -> Void

    init(_ name: String, _ fields: [String], _ change: @escaping @Sendable (inout AppointmentV1.TimeBlock) -> Void) {
      testDescription = name
      self.fields = fields.map { "time_block.\($0)" }
      self.change = change
    }
  }

  static let cases = [
    Case("day that is none", ["date MALFORMED"]) { $0.date = "2025-02-30" },
    Case("no end", ["end_time REQUIRED"]) { $0.endTime = "" },
    Case("start at 24:00", ["start_time MALFORMED"]) { $0.startTime = "24:00" },
    Case("over midnight", ["end_time OUT_OF_RANGE"]) { ($0.startTime, $0.endTime) = ("22:00", "06:00") },
    Case("empty", ["end_time OUT_OF_RANGE"]) { $0.endTime = $0.startTime },
    Case("blank reason", ["reason REQUIRED"]) { $0.reason = " \n" },
    Case("501 characters", ["reason TOO_LONG"]) { $0.reason = String(repeating: "é", count: 501) },
    Case("no such type", ["type OUT_OF_RANGE"]) { $0.type = .init(rawValue: 99) },
    Case("an offset is no zone", ["time_zone UNKNOWN_TIME_ZONE"]) { $0.timeZone = "+05:00" },
    Case("no recurrence type", ["recurrence.type REQUIRED"]) { $0.recur(.unspecified) },
    Case("end before the date", ["recurrence.end_date OUT_OF_RANGE"]) { $0.recur(.daily, until: "2025-12-09") },
    Case("days 0 and 8", ["recurrence.days_of_week[0] OUT_OF_RANGE", "recurrence.days_of_week[2] OUT_OF_RANGE"]) {
      $0.recur(.weekly) { $0.daysOfWeek = [.unspecified, .monday, .init(rawValue: 8)] }
    },
    Case("interval 53", ["recurrence.interval OUT_OF_RANGE"]) { $0.recur(.daily) { $0.interval = 53 } },
    Case("interval -1", ["recurrence.interval OUT_OF_RANGE"]) { $0.recur(.daily) { $0.interval = -1 } },
    Case("custom without dates and days", ["recurrence.dates REQUIRED"]) { $0.recur(.custom) },
    Case("dates of a daily one", ["recurrence.dates OUT_OF_RANGE"]) { $0.recur(.daily) { $0.dates = ["2025-12-12"] } },
    Case("367 dates", ["recurrence.dates OUT_OF_RANGE"]) {
      $0.recur(.custom) { $0.dates = Array(repeating: "2025-12-12", count: 367) }
    },
    Case("excluded before the date", ["recurrence.excluded_dates OUT_OF_RANGE"]) {
      $0.recur(.daily) { $0.excludedDates = ["2025-12-09"] }
    },
    Case("excluded after the end", ["recurrence.excluded_dates OUT_OF_RANGE"]) {
      $0.recur(.daily, until: "2025-12-12") { $0.excludedDates = ["2025-12-13"] }
    },
    Case("no date is left", ["recurrence RECURRENCE_EMPTY"]) {
      $0.recur(.daily, until: "2025-12-10") { $0.excludedDates = ["2025-12-10"] }
    },
    // 10 December 2025 is a Wednesday.
    Case("no Monday before the end", ["recurrence RECURRENCE_EMPTY"]) {
      $0.recur(.weekly, until: "2025-12-14") { $0.daysOfWeek = [.monday] }
    },
    Case("only dates before the block's", ["recurrence RECURRENCE_EMPTY"]) {
      $0.recur(.custom) { $0.dates = ["2025-12-09"] }
    },
    Case(
      "everything at once",
      [
        "date REQUIRED", "start_time MALFORMED", "end_time MALFORMED", "reason REQUIRED",
        "recurrence.end_date MALFORMED", "recurrence.excluded_dates[1] MALFORMED",
      ]
    ) {
      $0 = AppointmentV1.TimeBlock()
      ($0.startTime, $0.endTime) = ("9:00", "24:01")
      $0.recur(.daily, until: "soon") { $0.excludedDates = ["2025-12-12", "12/13/2025"] }
    },
  ]

  @Test("what is refused, and where", arguments: cases)
  func refused(_ test: Case) async throws {
    let clinic = Clinic()
    let error = try await failure { try await clinic.createBlock(clinic.block { test.change(&$0) }) }
    #expect(error.code == .invalidArgument && error.reason == "VALIDATION_FAILED")
    #expect(error.fields == test.fields)
    #expect(try await clinic.commits() == 0)
  }

  @Test("defaults: type other, the server's zone, interval 1; days collapse and are sorted; the past is legal")
  func defaults() async throws {
    let clinic = Clinic()
    let made = try await clinic.createBlock(
      clinic.block("1999-12-10", "00:00", "24:00") {
        $0.type = .unspecified
        $0.reason = "  Away "
        $0.id = "ignored"
        $0.version = 9
        $0.recur(.weekly, until: "1999-12-31") { $0.daysOfWeek = [.sunday, .monday, .sunday] }
      }
    ).timeBlock
    let block = try #require(made)
    #expect(block.type == .other && block.timeZone == "America/Toronto" && block.reason == "Away")
    #expect(block.recurrence?.interval == 1 && block.recurrence?.daysOfWeek == [.monday, .sunday])
    #expect(block.version == 1 && block.etag == "\"1\"" && block.endTime == "24:00")
    #expect(block.userId == Clinic.clinician && block.createdBy == Clinic.clinician)
    #expect(try await clinic.getBlock(block.id) == block)
  }

  @Test("a block and its request are required")
  func missing() async throws {
    let clinic = Clinic()
    let error = try await failure {
      try await clinic.blocks.createTimeBlock(AppointmentV1.CreateTimeBlockRequest(), context: clinic.context())
    }
    #expect(error.fields == ["time_block REQUIRED"])
  }
}
