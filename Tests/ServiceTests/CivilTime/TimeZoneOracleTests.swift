import Foundation
import Subprocess
import Testing

@testable import CivilTime

/// Our reading of the system's tzdata against CPython's `zoneinfo` reading of the same files.
@Suite("Time zones, against CPython's zoneinfo")
struct TimeZoneOracleTests {
  static let zones = [
    "America/Toronto", "Europe/Dublin", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata",
    "America/St_Johns", "Asia/Gaza", "Africa/Casablanca", "America/Nuuk", "Pacific/Kiritimati", "UTC", "EST5EDT",
    "Pacific/Auckland", "Asia/Tehran", "Antarctica/Troll", "Etc/GMT+5", "Africa/Monrovia",
  ]

  @Test("offsets agree at random instants and on both sides of every change", arguments: zones)
  func offsets(zone: String) async throws {
    let rules = try TimeZoneDatabase.system.rules(for: zone)
    let lines = try await Oracle.lines(
      """
      import random
      r = random.Random(7)
      times = [r.randrange(-3000000000, 20000000000) for _ in range(300)]
      t = -2208988800; before = off(t)
      while t < 5000000000:
          n = t + 86400 * 7; after = off(n)
          if before != after:
              lo, hi = t, n
              while hi - lo > 1:
                  mid = (lo + hi) // 2
                  lo, hi = (mid, hi) if off(mid) == before else (lo, mid)
              times += [hi - 1, hi]
          t, before = n, after
      for t in times: print(t, off(t))
      """, zone: zone)
    #expect(lines.count >= 300)
    for line in lines {
      #expect(rules.offset(at: Instant(seconds: line[0])) == Int(line[1]), "\(zone) at \(line[0])")
    }
  }

  @Test("wall clock times resolve alike: once, twice or never", arguments: zones)
  func resolution(zone: String) async throws {
    let rules = try TimeZoneDatabase.system.rules(for: zone)
    let lines = try await Oracle.lines(
      """
      t = 1577836800; before = off(t); at = [1700000000]
      while t < 2208988800:
          n = t + 3600 * 12; after = off(n)
          if before != after: at += range(t - 36 * 3600, n + 36 * 3600, 900)
          t, before = n, after
      for t in sorted(set(at)):
          local = datetime(1970, 1, 1) + timedelta(seconds=t)
          both = [local.replace(tzinfo=z, fold=f) for f in (0, 1)]
          utc = sorted({int(d.timestamp()) for d in both
                        if d.astimezone(timezone.utc).astimezone(z).replace(tzinfo=None) == local})
          print(t, len(utc), *(utc or [0]))
      """, zone: zone)
    for line in lines {
      let local = try #require(CivilDateTime(localSeconds: line[0]))
      switch rules.resolve(local) {
      case .unique(let instant): #expect([1, instant.seconds] == Array(line[1...]), "\(zone) \(local)")
      case .fold(let earlier, let later):
        #expect([2, earlier.seconds, later.seconds] == Array(line[1...]), "\(zone) \(local)")
      case .gap(let first):
        #expect(line[1] == 0, "\(zone) \(local)")
        #expect(rules.local(at: first) > local && rules.local(at: first.adding(microseconds: -1)) < local)
      }
    }
  }

  @Test("every zone that CPython knows is readable and agrees today and in 2100")
  func allZones() async throws {
    let lines = try await Oracle.texts(
      """
      import zoneinfo
      for name in sorted(zoneinfo.available_timezones()):
          z = ZoneInfo(name)
          if name not in ('Factory', 'localtime'): print(name, off(1764583200), off(4118083200))
      """, zone: "UTC")
    #expect(lines.count > 400)
    for line in lines {
      let rules = try TimeZoneDatabase.system.rules(for: line[0])
      #expect(rules.offset(at: Instant(seconds: 1_764_583_200)) == Int(line[1]), "\(line[0])")
      #expect(rules.offset(at: Instant(seconds: 4_118_083_200)) == Int(line[2]), "\(line[0])")
    }
  }
}

/// Runs a Python program with `z` (the zone) and `off(utc seconds)` at hand; gives the words of its lines.
enum Oracle {
  static func lines(_ program: String, zone: String) async throws -> [[Int64]] {
    try await texts(program, zone: zone).map { $0.compactMap { Int64($0) } }
  }

  static func texts(_ program: String, zone: String) async throws -> [[String]] {
    let text = """
      import sys
      from datetime import datetime, timedelta, timezone
      from zoneinfo import ZoneInfo
      z = ZoneInfo(sys.argv[1])
      epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
      def off(t): return int((epoch + timedelta(seconds=t)).astimezone(z).utcoffset().total_seconds())
      \(program)
      """
    let result = try await Subprocess.run(
      .name("python3"), arguments: ["-c", text, zone], output: .string(limit: 64 << 20),
      error: .currentStandardError)
    try #require(result.terminationStatus.isSuccess, "python3 with zoneinfo is needed as oracle")
    return result.standardOutput.split(separator: "\n").map { line in
      line.split(separator: " ").map(String.init)
    }
  }
}
