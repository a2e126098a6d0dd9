import CivilTime
import Foundation
import Subprocess
import TestSupport
import Testing

@testable import AppointmentService

/// Rules at random against `recurrence_oracle.py`, which reads DOMAIN 5 day by day and minute by minute.
@Suite("DOMAIN 5: recurrence against an independent oracle")
struct RecurrenceOracleTests {
  /// Southern, with a half-hour shift, without shifts, across the date line, and two northern ones. No zone changes sides
  /// of the date line in these years, nor does any yet say that it will: see ``dateLine(zone:skipped:)``.
  static let zones = [
    "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "Europe/Berlin", "America/New_York",
  ]

  @Test("dates and instants agree from 2024 to 2030", arguments: zones, [1, 2] as [UInt64])
  func agrees(zone: String, seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed &* 977 &+ UInt64(zone.utf8.reduce(0) { Int($0) + Int($1) }))
    let rules = try TimeZoneDatabase.system.rules(for: zone)
    let samples = (0..<40).map { _ in BlockRule.random(zone: zone, using: &random) }
    let shifts = Self.daysWithShifts(rules)
    let years = try #require(CivilDate("2024-01-01"))...#require(CivilDate("2030-12-31"))
    let answers = try await Oracle.ask(samples, years, look: shifts)

    for (rule, answer) in zip(samples, answers) {
      #expect(rule.occurrences(in: years).map(\.description) == answer.dates, "\(rule)")
      for (day, minutes) in answer.minutes {
        let date = try #require(CivilDate(day))
        let ranges = rule.intervals(on: date, rules: rules)
        #expect(ranges.map { [$0.lowerBound.seconds / 60, $0.upperBound.seconds / 60] } == minutes, "\(day) \(rule)")
      }
    }
  }

  @Test(
    "of a day that a zone skipped when it crossed the date line nothing is blocked",
    arguments: [
      ("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21"), ("Pacific/Kiritimati", "1994-12-31"),
    ])
  func dateLine(zone: String, skipped: String) async throws {
    let rules = try TimeZoneDatabase.system.rules(for: zone)
    let day = try #require(CivilDate(skipped))
    let days = try #require(day.adding(days: -3))...#require(day.adding(days: 3))
    let rule = BlockRule(
      date: days.lowerBound, start: .midnight, end: .endOfDay, timeZone: zone,
      recurrence: Recurrence(
        kind: .daily, endDate: nil, daysOfWeek: [], interval: 1, dates: [], excludedDates: []))
    let dates = rule.occurrences(in: days)
    let answer = try #require(try await Oracle.ask([rule], days, look: dates.map(\.description)).first)
    #expect(dates.map(\.description) == answer.dates && answer.minutes.count == 7)
    for date in dates {
      let ranges = rule.intervals(on: date, rules: rules)
        .map { [$0.lowerBound.seconds / 60, $0.upperBound.seconds / 60] }
      #expect(ranges == answer.minutes[date.description] && ranges.isEmpty == (date == day), "\(date)")
    }
  }

  /// The civil dates from 2024 to 2030 on which the zone's offset changes, and their neighbours.
  private static func daysWithShifts(_ rules: TimeZoneRules) -> [String] {
    let first = Instant(seconds: 1_704_067_200)  // 2024-01-01T00:00:00Z
    return (0..<(7 * 366)).flatMap { day -> [String] in
      let now = first.adding(minutes: day * 1440)
      let next = now.adding(minutes: 1440)
      guard rules.offset(at: now) != rules.offset(at: next) else { return [] }
      return [rules.date(at: now).description, rules.date(at: next).description]
    }
  }
}

private struct Oracle {
  struct Answer: Decodable {
    var dates: [String]
    var minutes: [String: [[Int64]]]
  }

  struct Question: Encodable {
    struct Rule: Encodable {
      var kind: String
      var end: String?
      var days: [Int]
      var interval: Int
      var dates: [String]
      var excluded: [String]
    }
    var date: String
    var start: Int
    var end: Int
    var zone: String
    var recurrence: Rule?
    var from: String
    var to: String
    var look: [String]

    init(_ rule: BlockRule, _ window: ClosedRange<CivilDate>, look: [String]) {
      from = window.lowerBound.description
      to = window.upperBound.description
      date = rule.date.description
      start = rule.start.minutes
      end = rule.end.minutes
      zone = rule.timeZone
      recurrence = rule.recurrence.map { recurrence in
        Rule(
          kind: recurrence.kind.rawValue, end: recurrence.endDate?.description,
          days: recurrence.daysOfWeek.map(\.rawValue), interval: recurrence.interval,
          dates: recurrence.dates.map(\.description), excluded: recurrence.excludedDates.map(\.description))
      }
      self.look = look
    }
  }

  static func ask(_ rules: [BlockRule], _ window: ClosedRange<CivilDate>, look: [String]) async throws -> [Answer] {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "recurrence_oracle.py")
    let questions = try rules.map { try JSONEncoder().encode(Question($0, window, look: look)) }
    let input = FileManager.default.temporaryDirectory.appending(path: "recurrence-\(UUID().uuidString).jsonl")
    defer { try? FileManager.default.removeItem(at: input) }
    try Data(questions.joined(separator: Data("\n".utf8))).write(to: input)

    let handle = try FileHandle(forReadingFrom: input)
    defer { try? handle.close() }
    let result = try await Subprocess.run(
      .name("python3"), arguments: [script.path],
      input: .fileDescriptor(.init(rawValue: handle.fileDescriptor), closeAfterSpawningProcess: false),
      output: .data(limit: 64 << 20), error: .currentStandardError)
    #expect(result.terminationStatus.isSuccess)
    let lines = result.standardOutput.split(separator: UInt8(ascii: "\n"))
    try #require(lines.count == rules.count)
    return try lines.map { try JSONDecoder().decode(Answer.self, from: $0) }
  }
}

extension BlockRule {
  /// A legal rule near the years that the oracle looks at; occurrences are likely, not certain.
  fileprivate static func random(zone: String, using random: inout SeededGenerator) -> BlockRule {
    func day() -> CivilDate { CivilDate(dayNumber: Int.random(in: 19_700...21_800, using: &random)) ?? .first }
    func days(_ most: Int) -> Set<CivilDate> { Set((0..<Int.random(in: 0...most, using: &random)).map { _ in day() }) }
    let start = Int.random(in: 0..<1440, using: &random)
    let anchor = day()
    let weekdays = Set(Weekday.allCases.filter { _ in Int.random(in: 0..<4, using: &random) == 0 })
    let end: CivilDate? =
      Bool.random(using: &random) ? anchor.adding(days: Int.random(in: 0...1500, using: &random)) : nil
    let interval = Int.random(in: 0..<3, using: &random) == 0 ? Int.random(in: 1...52, using: &random) : 1
    let kind = Recurrence.Kind.allCases[Int.random(in: 0..<3, using: &random)]
    let recurrence: Recurrence? =
      Int.random(in: 0..<8, using: &random) == 0
      ? nil
      : Recurrence(
        kind: kind, endDate: end, daysOfWeek: weekdays, interval: interval, dates: kind == .custom ? days(20) : [],
        excludedDates: days(30))
    return BlockRule(
      date: anchor, start: CivilTimeOfDay(minutes: start) ?? .midnight,
      end: CivilTimeOfDay(minutes: Int.random(in: (start + 1)...1440, using: &random)) ?? .endOfDay,
      timeZone: zone, recurrence: recurrence)
  }
}
