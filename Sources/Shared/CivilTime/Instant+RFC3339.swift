/// RFC 3339, section 5.6: the form in which instants are stored and shown.
extension Instant: CustomStringConvertible {
  /// UTC; whole seconds without a fraction, otherwise six digits: `2025-12-01T10:00:00Z`,
  /// `2025-12-01T10:00:00.000250Z`.
  package var description: String {
    let seconds = min(max(self.seconds, Self.secondsOfCalendar.lowerBound), Self.secondsOfCalendar.upperBound)
    let day = Self.floorDivide(seconds, by: 86_400)
    let secondOfDay = Int(seconds - day * 86_400)
    let date = CivilDate(clampingDayNumber: Int(day))
    var text = DigitWriter()
    text.write(date)
    text.write(ascii: "T")
    text.write(secondOfDay / 3600, digits: 2)
    text.write(ascii: ":")
    text.write(secondOfDay / 60 % 60, digits: 2)
    text.write(ascii: ":")
    text.write(secondOfDay % 60, digits: 2)
    let fraction = Int(nanoseconds / 1000)
    if fraction != 0 {
      text.write(ascii: ".")
      text.write(fraction, digits: 6)
    }
    text.write(ascii: "Z")
    return text.string
  }

  /// Reads any RFC 3339 instant of the years 1…9999, with `Z` or a numeric offset; digits beyond the microsecond are
  /// cut off. A leap second (`:60`) is refused.
  package init?(_ text: some StringProtocol) {
    var reader = DigitReader(text.utf8)
    guard let year = reader.number(digits: 4), reader.skip("-"), let month = reader.number(digits: 2),
      reader.skip("-"), let day = reader.number(digits: 2),
      let date = CivilDate(year: year, month: month, day: day),
      reader.skip("T") || reader.skip("t"),
      let hour = reader.number(digits: 2), hour < 24, reader.skip(":"),
      let minute = reader.number(digits: 2), minute < 60, reader.skip(":"),
      let second = reader.number(digits: 2), second < 60,
      let fraction = reader.microsecondsOfFraction(),
      let offset = reader.offsetSeconds(), reader.isAtEnd
    else { return nil }
    let local = Int64(date.dayNumber) * 86_400 + Int64(hour * 3600 + minute * 60 + second)
    let seconds = local - Int64(offset)
    guard Self.secondsOfCalendar.contains(seconds) else { return nil }
    self.init(microseconds: seconds * 1_000_000 + Int64(fraction))
  }
}

extension DigitReader {
  /// An optional `.digits`; 0 when there is none, `nil` when the point has no digit after it.
  fileprivate mutating func microsecondsOfFraction() -> Int? {
    guard skip(".") else { return 0 }
    var value = 0
    var count = 0
    while let digit = number(digits: 1) {
      if count < 6 { value = value * 10 + digit }
      count += 1
    }
    guard count > 0 else { return nil }
    for _ in min(count, 6)..<6 { value *= 10 }
    return value
  }

  fileprivate mutating func offsetSeconds() -> Int? {
    if skip("Z") || skip("z") { return 0 }
    let sign: Int
    if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
    guard let hours = number(digits: 2), hours < 24, skip(":"), let minutes = number(digits: 2), minutes < 60 else {
      return nil
    }
    return sign * (hours * 3600 + minutes * 60)
  }
}
