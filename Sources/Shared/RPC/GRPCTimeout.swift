/// The `grpc-timeout` header: how long the caller goes on waiting. Source: WIRE W9, W10.
package enum GRPCTimeout {
  private static let mostDigits = 8

  /// Reads 1 to 8 ASCII digits and a unit; `nil` when the value is malformed.
  ///
  /// Every legal value fits: 99999999H is about 3.6e20 ns, beyond `Int64` nanoseconds, which is why this is a `Duration`.
  package static func parse(_ value: some BidirectionalCollection<UInt8>) -> Duration? {
    guard let unit = value.last, (2...mostDigits + 1).contains(value.count) else { return nil }
    var number: Int64 = 0
    for byte in value.dropLast() {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      number = number * 10 + Int64(byte - UInt8(ascii: "0"))
    }
    switch unit {
    case UInt8(ascii: "H"): return .seconds(number * 3600)
    case UInt8(ascii: "M"): return .seconds(number * 60)
    case UInt8(ascii: "S"): return .seconds(number)
    case UInt8(ascii: "m"): return .milliseconds(number)
    case UInt8(ascii: "u"): return .microseconds(number)
    case UInt8(ascii: "n"): return .nanoseconds(number)
    default: return nil
    }
  }

  /// The header's value for a remaining time: the finest unit in which at most 8 digits suffice, rounded up.
  ///
  /// - Returns: `nil` when nothing remains; such a call is not to be sent at all.
  package static func format(_ remaining: Duration) -> String? {
    guard remaining > .zero else { return nil }
    let (seconds, attoseconds) = remaining.components
    let (nanosecondsPart, rest) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    // Beyond 8 digits of hours there is no spelling; the largest one is about 11 000 years.
    let largest: Int64 = 99_999_999
    guard seconds < largest * 3600 else { return "\(largest)H" }
    func roundedUp(_ value: Int64, _ remainder: Bool) -> Int64 { remainder ? value + 1 : value }
    if seconds == 0 {
      let nanoseconds = roundedUp(nanosecondsPart, rest > 0)
      if nanoseconds <= largest { return "\(nanoseconds)n" }
    }
    if seconds < 100 {
      let microseconds = roundedUp(
        seconds * 1_000_000 + nanosecondsPart / 1_000, nanosecondsPart % 1_000 > 0 || rest > 0)
      if microseconds <= largest { return "\(microseconds)u" }
    }
    if seconds < 100_000 {
      let milliseconds = roundedUp(
        seconds * 1_000 + nanosecondsPart / 1_000_000, nanosecondsPart % 1_000_000 > 0 || rest > 0)
      if milliseconds <= largest { return "\(milliseconds)m" }
    }
    let wholeSeconds = roundedUp(seconds, attoseconds > 0)
    if wholeSeconds <= largest { return "\(wholeSeconds)S" }
    let minutes = roundedUp(wholeSeconds / 60, wholeSeconds % 60 > 0)
    if minutes <= largest { return "\(minutes)M" }
    return "\(roundedUp(wholeSeconds / 3600, wholeSeconds % 3600 > 0))H"
  }
}
