import TestSupport
import Testing

@testable import CivilTime

@Suite("Instants")
struct InstantTests {
  @Test(
    "RFC 3339 texts name the microsecond",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.999999Z", -1), ("2025-12-01T10:00:00Z", 1_764_583_200_000_000),
      ("2025-12-01T10:00:00.5Z", 1_764_583_200_500_000), ("2025-12-01T10:00:00.0000019Z", 1_764_583_200_000_001),
      ("2025-12-01T05:00:00-05:00", 1_764_583_200_000_000), ("2025-12-01t15:45:00+05:45", 1_764_583_200_000_000),
      ("0001-01-01T00:00:00Z", -62_135_596_800_000_000), ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ])
  func parse(text: String, microseconds: Int64) {
    #expect(Instant(text)?.microseconds == microseconds)
  }

  @Test(
    "anything else is refused",
    arguments: [
      "", "2025-12-01", "2025-12-01T10:00Z", "2025-12-01T10:00:00", "2025-12-01 10:00:00Z", "2025-12-01T24:00:00Z",
      "2025-12-01T10:60:00Z", "2025-12-01T10:00:60Z", "2025-12-01T10:00:00.Z", "2025-12-01T10:00:00+24:00",
      "2025-12-01T10:00:00+0500", "2025-12-01T10:00:00ZZ", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
      "2025-02-30T10:00:00Z",
    ])
  func refused(text: String) {
    #expect(Instant(text) == nil)
  }

  @Test(
    "an instant is written in UTC, with a fraction only if it has one",
    arguments: [
      (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59.999999Z"), (250, "1970-01-01T00:00:00.000250Z"),
      (Int64.max, "9999-12-31T23:59:59.775807Z"), (1_764_583_200_000_000, "2025-12-01T10:00:00Z"),
    ])
  func format(microseconds: Int64, text: String) {
    #expect(Instant(microseconds: microseconds).description == text)
  }

  @Test("writing and reading is the identity", arguments: 0..<20)
  func roundTrip(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let range = -62_135_596_800_000_000...253_402_300_799_999_999 as ClosedRange<Int64>
      let instant = Instant(microseconds: .random(in: range, using: &random))
      #expect(Instant(instant.description) == instant)
      #expect(Instant(seconds: instant.seconds, nanoseconds: instant.nanoseconds) == instant)
    }
  }

  @Test("a timestamp outside the calendar or with broken nanoseconds is refused")
  func timestampBounds() {
    #expect(Instant(seconds: -62_135_596_801, nanoseconds: 0) == nil)
    #expect(Instant(seconds: 253_402_300_800, nanoseconds: 0) == nil)
    #expect(Instant(seconds: 0, nanoseconds: -1) == nil)
    #expect(Instant(seconds: 0, nanoseconds: 1_000_000_000) == nil)
    #expect(Instant(seconds: -1, nanoseconds: 999_999_999)?.microseconds == -1)
  }

  @Test("arithmetic stops at the bounds of Int64 instead of trapping")
  func saturation() {
    #expect(Instant(microseconds: .max).adding(minutes: 1).microseconds == .max)
    #expect(Instant(microseconds: .min).adding(seconds: -1).microseconds == .min)
    #expect(Instant(seconds: .min).microseconds == .min)
    #expect(Instant(microseconds: 0).adding(minutes: -1).utcDayNumber == -1)
  }
}
