/// Durations as people write them: `500ms`, `10s`, `2m`, `1h`, `7d`, and several of these in a row (`1d12h`).
enum DurationText {
  /// The longest that is accepted: 100 years.
  static let maximumSeconds: Int64 = 100 * 366 * 86_400

  /// - Returns: `nil` for anything else, and beyond ``maximumSeconds``.
  static func parse(_ text: some StringProtocol) -> Duration? {
    guard !text.isEmpty else { return nil }
    var total = Duration.zero
    var rest = text[...]
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard digits.utf8.count <= 12, let number = Int64(digits) else { return nil }
      rest = rest.dropFirst(digits.count)
      let unit = rest.prefix { $0.isLetter }
      rest = rest.dropFirst(unit.count)
      switch unit {
      case "ms": total += .milliseconds(number)
      case "s": total += .seconds(number)
      case "m": total += .seconds(number * 60)
      case "h": total += .seconds(number * 3600)
      case "d": total += .seconds(number * 86_400)
      default: return nil
      }
      guard total <= .seconds(maximumSeconds) else { return nil }
    }
    return total
  }

  /// The shortest spelling in one unit.
  static func format(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    if attoseconds != 0 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
    for (unit, size) in [("d", Int64(86_400)), ("h", 3600), ("m", 60)] where seconds != 0 && seconds % size == 0 {
      return "\(seconds / size)\(unit)"
    }
    return "\(seconds)s"
  }
}
