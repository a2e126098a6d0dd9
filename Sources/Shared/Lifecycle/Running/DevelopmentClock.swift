package import CivilTime
internal import FoundationEssentials
package import Logging
internal import Synchronization

/// The clock of `--development-clock-file`: a file that a test outside the process writes, read anew at each use.
///
/// It holds an RFC 3339 instant, at which time then stands still, or an offset from the system's time such as `+7d` or
/// `-1d12h`. Absent or empty means the system's time. Content that is neither is reported once and leaves the last
/// good reading in force. Source: DESIGN 2.
package enum DevelopmentClock {
  enum Reading: Sendable, Hashable {
    case system
    case fixed(Instant)
    case offset(microseconds: Int64)
  }

  struct Problem: Error, Hashable {
    let description: String
  }

  package static func clock(file path: String, logger: Logger, system: WallClock = .system) -> WallClock {
    let last = Mutex<(reading: Reading, wasBad: Bool)>((.system, false))
    return WallClock {
      let result = read(path)
      let (reading, isNewlyBad) = last.withLock { last in
        switch result {
        case .success(let reading):
          last = (reading, false)
          return (reading, false)
        case .failure:
          defer { last.wasBad = true }
          return (last.reading, !last.wasBad)
        }
      }
      if isNewlyBad {
        logger.error(
          "The development clock file holds neither an instant nor an offset; its last reading stays in force.")
      }
      switch reading {
      case .system: return system.now()
      case .fixed(let instant): return instant
      case .offset(let microseconds): return system.now().adding(microseconds: microseconds)
      }
    }
  }

  /// The file as it is now.
  static func read(_ path: String) -> Result<Reading, Problem> {
    guard FileManager.default.fileExists(atPath: path) else { return .success(.system) }
    guard let data = try? Data(contentsOf: URL(filePath: path)), data.count <= 256 else {
      return .failure(Problem(description: "cannot be read"))
    }
    return parse(String(decoding: data, as: UTF8.self))
  }

  static func parse(_ text: String) -> Result<Reading, Problem> {
    let text = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    if text.isEmpty { return .success(.system) }
    if let instant = Instant(text) { return .success(.fixed(instant)) }
    if let sign = text.first, sign == "+" || sign == "-", let offset = DurationText.parse(text.dropFirst()) {
      let (seconds, attoseconds) = offset.components
      let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
      return .success(.offset(microseconds: sign == "-" ? -microseconds : microseconds))
    }
    return .failure(Problem(description: "holds neither an RFC 3339 instant nor an offset such as +7d"))
  }
}
