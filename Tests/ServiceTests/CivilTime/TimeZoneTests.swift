import Foundation
import Testing

@testable import CivilTime

@Suite("The time zone database")
struct TimeZoneTests {
  @Test(
    "only IANA names are zones (DOMAIN 5)",
    arguments: [
      "", "+05:00", "-0500", "UTC+5", "GMT+5", "../UTC", "/UTC", "America/../UTC", "America//Toronto", "America",
      "America/Toronto/", "posix/UTC", "right/UTC", "localtime", "posixrules", "Factory", "zone.tab", "tzdata.zi",
      "america/toronto", "Mars/Olympus", ".", "UTC\0", "EST5EDT4", "5", "\u{202E}UTC",
      String(repeating: "A", count: 65),
    ])
  func refused(id: String) {
    #expect(throws: TimeZoneError.unknown) { try TimeZoneDatabase.system.rules(for: id) }
  }

  @Test("a machine without tzdata is told so")
  func missing() {
    let database = TimeZoneDatabase(directory: "/nonexistent/zoneinfo")
    #expect(throws: TimeZoneError.databaseMissing(directory: "/nonexistent/zoneinfo")) {
      try database.rules(for: "UTC")
    }
    #expect(database.version == "unknown")
  }

  @Test("the version is the one the system's tzdata names")
  func version() throws {
    let text = try String(contentsOfFile: "/usr/share/zoneinfo/tzdata.zi", encoding: .utf8)
    #expect(text.hasPrefix("# version \(TimeZoneDatabase.system.version)\n"))
  }

  @Test("a skipped time names the first valid one, a repeated time names both")
  func gapAndFold() throws {
    let toronto = try TimeZoneDatabase.system.rules(for: "America/Toronto")
    let firstValid = try #require(Instant("2025-03-09T07:00:00Z"))
    #expect(try toronto.resolve(local("2025-03-09", "02:30")) == .gap(firstValid: firstValid))
    let earlier = try #require(Instant("2025-11-02T05:30:00Z"))
    #expect(
      try toronto.resolve(local("2025-11-02", "01:30"))
        == .fold(earlier: earlier, later: earlier.adding(minutes: 60)))
  }

  private func local(_ date: String, _ time: String) throws -> CivilDateTime {
    let (date, time) = (try #require(CivilDate(date)), try #require(CivilTimeOfDay(time)))
    return try #require(CivilDateTime(date, time))
  }

  @Test(
    "the wall clock's part of a day is found in gaps and folds (DOMAIN 5)",
    arguments: [
      ("2025-03-09", "02:00", "03:00", ""), ("2025-03-09", "01:30", "02:30", "06:30-07:00"),
      ("2025-11-02", "01:00", "02:00", "05:00-07:00"), ("2025-11-02", "01:15", "01:45", "05:15-05:45 06:15-06:45"),
      ("2025-06-01", "09:00", "10:00", "13:00-14:00"),
    ])
  func partOfDay(date: String, from: String, to: String, expected: String) throws {
    let toronto = try TimeZoneDatabase.system.rules(for: "America/Toronto")
    let ranges = try toronto.instants(
      on: #require(CivilDate(date)), from: #require(CivilTimeOfDay(from)), to: #require(CivilTimeOfDay(to)))
    let text = ranges.map { range in
      "\(range.lowerBound.description.dropFirst(11).prefix(5))-\(range.upperBound.description.dropFirst(11).prefix(5))"
    }
    #expect(text.joined(separator: " ") == expected)
  }

  @Test("a day that a zone skipped altogether has no instants")
  func skippedDay() throws {
    let apia = try TimeZoneDatabase.system.rules(for: "Pacific/Apia")
    #expect(try apia.instants(on: #require(CivilDate("2011-12-30")), from: .midnight, to: .endOfDay).isEmpty)
  }

  @Test("any cut of a zone's file and any changed byte is refused or read, never trapped on")
  func damage() throws {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "/usr/share/zoneinfo/America/Toronto")))
    for count in 0..<bytes.count {
      #expect(throws: TZif.FormatError.self) { try TZif(Array(bytes[..<count])) }
    }
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 0xFF
      guard let data = try? TZif(changed) else { continue }
      let rules = TimeZoneRules(id: "changed", data: data)
      _ = rules.local(at: Instant(seconds: 1_764_583_200))
      _ = rules.resolve(try #require(CivilDateTime(localSeconds: 1_764_583_200)))
    }
  }

  @Test("version 1 data without a footer is read")
  func versionOne() throws {
    var bytes = Array("TZif".utf8) + [UInt8](repeating: 0, count: 16)
    for count in [0, 0, 0, 1, 2, 4] as [UInt8] { bytes += [0, 0, 0, count] }
    bytes += [0xFF, 0xFF, 0xFF, 0xFE, 1]  // at -2 s: type 1
    bytes += [0, 0, 0, 0, 0, 0] + [0, 0, 0x0E, 0x10, 0, 0] + Array("AAA\0".utf8)
    let rules = TimeZoneRules(id: "v1", data: try TZif(bytes))
    #expect(rules.offset(at: Instant(seconds: -3)) == 0)
    #expect(rules.offset(at: Instant(seconds: -2)) == 3600)
  }

  @Test(
    "POSIX TZ strings are read as POSIX and RFC 9636 define them",
    arguments: [
      ("EST5EDT,M3.2.0,M11.1.0", true), ("<-03>3", true), ("IST-1GMT0,M10.5.0,M3.5.0/1", true),
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true), ("XXX3EDT4,0/0,J365/23", true), ("EST5EDT", false), ("E5", false),
      ("EST", false), ("EST5EDT,M13.1.0,M11.1.0", false), ("EST5EDT,M3.6.0,M11.1.0", false), ("EST168", false),
      ("EST5EDT,J0,J5", false), ("EST5EDT,366,5", false), ("<-03", false), ("EST5EDT,M3.2.0,M11.1.0 ", false),
      ("EST99999999999999999999", false), ("", false),
    ])
  func posix(text: String, legal: Bool) {
    #expect((PosixTimeZone(Array(text.utf8)) != nil) == legal)
  }

  @Test("daylight saving time all year round has no gap at the turn of the year (RFC 9636)")
  func allYear() throws {
    let zone = try #require(PosixTimeZone(Array("EST5EDT,0/0,J365/25".utf8)))
    for seconds in stride(from: Int64(1_700_000_000), to: 1_740_000_000, by: 43_200) {
      #expect(zone.changes(around: seconds).last { $0.at <= seconds }?.offset == -14_400)
    }
  }
}
