import CivilTime
import Foundation
import Logging
import Synchronization
import Testing

@testable import Lifecycle

@Suite("Durations, addresses and the development clock")
struct SmallTextTests {
  @Test(
    "durations are read and written",
    arguments: [
      ("500ms", Duration.milliseconds(500), "500ms"), ("10s", .seconds(10), "10s"), ("90s", .seconds(90), "90s"),
      ("120s", .seconds(120), "2m"), ("1h", .seconds(3600), "1h"), ("7d", .seconds(604_800), "7d"),
      ("1d12h", .seconds(129_600), "36h"), ("0s", .zero, "0s"),
    ])
  func duration(text: String, expected: Duration, written: String) {
    #expect(DurationText.parse(text) == expected)
    #expect(DurationText.format(expected) == written)
  }

  @Test(
    "other texts are no durations", arguments: ["", "10", "s", "-1s", "1.5h", "1 h", "1w", "9999999999999s", "36601d"])
  func noDuration(text: String) {
    #expect(DurationText.parse(text) == nil)
  }

  @Test(
    "addresses",
    arguments: [
      ("127.0.0.1:7443", ListenAddress(host: "127.0.0.1", port: 7443)),
      ("[::1]:0", ListenAddress(host: "::1", port: 0)),
      ("localhost:65535", ListenAddress(host: "localhost", port: 65535)),
      ("unix:/run/clinicavoice/patient.sock", ListenAddress.unix(path: "/run/clinicavoice/patient.sock")),
    ])
  func address(text: String, expected: ListenAddress) {
    #expect(ListenAddress(text) == expected)
    #expect(expected.description == text)
    #expect(expected.isLoopback)
  }

  @Test(
    "other texts are no addresses",
    arguments: ["", ":1", "a", "a:", "a:65536", "a:-1", "::1:1", "a b:1", "a:1x", "[]:1", "http://a:1", "unix:", "unix:a"])
  func noAddress(text: String) {
    #expect(ListenAddress(text) == nil)
  }

  @Test("the development clock follows its file, use by use")
  func clock() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "clock-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let system = Instant(seconds: 1_000_000)
    let lines = Mutex(0)
    let logger = Logger(label: "test") { _ in CountingLogHandler { lines.withLock { $0 += 1 } } }
    let clock = DevelopmentClock.clock(file: path, logger: logger, system: WallClock { system })
    #expect(clock.now() == system)
    for (text, expected) in [
      ("+7d\n", system.adding(seconds: 604_800)), (" -1d12h ", system.adding(seconds: -129_600)),
      ("2031-03-04T05:06:07+01:00\n", Instant("2031-03-04T04:06:07Z")), ("", system),
      ("+500ms", Instant("1970-01-12T13:46:40.5Z")),
    ] {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(clock.now() == expected, "\(text)")
    }
    try "soon".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(clock.now() == Instant("1970-01-12T13:46:40.5Z"))
    #expect(clock.now() == Instant("1970-01-12T13:46:40.5Z"))
    #expect(lines.withLock { $0 } == 1)
  }
}

/// Counts what is logged.
private struct CountingLogHandler: LogHandler {
  let count: @Sendable () -> Void
  var logLevel: Logger.Level = .trace
  var metadata: Logger.Metadata = [:]

  init(_ count: @escaping @Sendable () -> Void) { self.count = count }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { count() }
}
