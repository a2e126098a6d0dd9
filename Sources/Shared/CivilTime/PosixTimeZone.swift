/// The `TZ` string of a TZif footer, such as `EST5EDT,M3.2.0,M11.1.0`: what holds after the last listed transition.
///
/// Source: POSIX.1-2024 section 8.3 ("std offset dst offset, rule"), RFC 9636 section 3.3.1 (hours −167…167).
struct PosixTimeZone: Sendable, Hashable {
  /// Seconds east of UTC.
  let standardOffset: Int32
  let daylight: Daylight?

  struct Daylight: Sendable, Hashable {
    let offset: Int32
    let start: Rule
    let end: Rule
  }

  /// A day of each year and a wall clock time relative to its midnight, in seconds.
  struct Rule: Sendable, Hashable {
    enum Day: Sendable, Hashable {
      /// `Jn`, 1…365: February 29 is never counted.
      case julian(Int)
      /// `n`, 0…365: February 29 is counted.
      case dayOfYear(Int)
      /// `Mm.w.d`: weekday `d` (0 = Sunday) of week `w` (5 = the last) of month `m`.
      case weekday(month: Int, week: Int, day: Int)
    }
    let day: Day
    let time: Int32
  }

  init?(_ bytes: [UInt8]) {
    var parser = Parser(bytes: bytes)
    guard parser.name(), let standard = parser.offset() else { return nil }
    // POSIX counts west as positive.
    standardOffset = -standard
    guard TZif.offsetRange.contains(standardOffset) else { return nil }
    if parser.isAtEnd {
      daylight = nil
      return
    }
    guard parser.name() else { return nil }
    var offset = standardOffset + 3600
    if parser.peek != UInt8(ascii: ",") {
      guard let given = parser.offset() else { return nil }
      offset = -given
    }
    guard TZif.offsetRange.contains(offset), parser.skip(","), let start = parser.rule(), parser.skip(","),
      let end = parser.rule(), parser.isAtEnd
    else { return nil }
    daylight = Daylight(offset: offset, start: start, end: end)
  }
}

extension PosixTimeZone {
  /// The changes that fall into the years around a UTC second, ascending; what holds before the first is the last
  /// change's opposite. Empty without daylight saving time.
  func changes(around seconds: Int64) -> [(at: Int64, offset: Int32)] {
    guard let daylight else { return [] }
    let year = CivilDateTime(clampingLocalSeconds: seconds + Int64(standardOffset)).date.year
    var result: [(at: Int64, offset: Int32)] = []
    for year in (year - 1)...(year + 1) {
      // The end first: where it meets the next start (daylight saving all year round), the start counts.
      result.append((daylight.end.localSeconds(in: year) - Int64(daylight.offset), standardOffset))
      result.append((daylight.start.localSeconds(in: year) - Int64(standardOffset), daylight.offset))
    }
    // Stable: insertion keeps the order of equal times.
    for index in result.indices.dropFirst() {
      var place = index
      while place > 0,
        result[place - 1].at > result[place].at
          || (result[place - 1].at == result[place].at && result[place - 1].offset == daylight.offset
            && result[place].offset == standardOffset)
      {
        result.swapAt(place - 1, place)
        place -= 1
      }
    }
    return result
  }
}

extension PosixTimeZone.Rule {
  /// The wall clock second (since 1970 on that clock) in `year`, which may lie just outside the calendar.
  func localSeconds(in year: Int) -> Int64 {
    Int64(dayNumber(in: year)) * 86_400 + Int64(time)
  }

  private func dayNumber(in year: Int) -> Int {
    // Years 0 and 10000 are asked for at the calendar's ends: shift them into it by whole 400-year cycles.
    let shift = year < 1 ? 1 : year > 9999 ? -1 : 0
    let shifted = year + shift * 400
    let cycle = shift * 146_097
    let newYear = (CivilDate(year: shifted, month: 1, day: 1)?.dayNumber ?? 0) - cycle
    let isLeap = CivilDate.isLeap(year: shifted)
    switch day {
    case .julian(let number): return newYear + number - 1 + (isLeap && number >= 60 ? 1 : 0)
    case .dayOfYear(let number): return newYear + number
    case .weekday(let month, let week, let day):
      let first = (CivilDate(year: shifted, month: month, day: 1)?.dayNumber ?? 0) - cycle
      // 1970-01-01 was a Thursday, 4 when Sunday is 0.
      let firstWeekday = ((first % 7) + 7 + 4) % 7
      var offset = (day - firstWeekday + 7) % 7 + (week - 1) * 7
      while offset >= CivilDate.days(inMonth: month, of: shifted) { offset -= 7 }
      return first + offset
    }
  }
}

extension PosixTimeZone {
  private struct Parser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
      guard peek == UInt8(ascii: character) else { return false }
      position += 1
      return true
    }

    /// An abbreviation: at least three letters, or anything between `<` and `>`.
    mutating func name() -> Bool {
      if skip("<") {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: ">")) else { return false }
        position = end + 1
        return true
      }
      let start = position
      while let byte = peek, (byte | 0x20) >= UInt8(ascii: "a"), (byte | 0x20) <= UInt8(ascii: "z") { position += 1 }
      return position - start >= 3
    }

    mutating func number(atMost limit: Int) -> Int? {
      var value = 0
      let start = position
      while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
        guard value <= limit else { return nil }
        position += 1
      }
      return position > start ? value : nil
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    mutating func offset() -> Int32? {
      let sign: Int32 = skip("-") ? -1 : 1
      if sign == 1 { _ = skip("+") }
      guard let hours = number(atMost: 167) else { return nil }
      var seconds = hours * 3600
      if skip(":") {
        guard let minutes = number(atMost: 59) else { return nil }
        seconds += minutes * 60
        if skip(":") {
          guard let rest = number(atMost: 59) else { return nil }
          seconds += rest
        }
      }
      return sign * Int32(seconds)
    }

    mutating func rule() -> Rule? {
      guard let day = day() else { return nil }
      guard skip("/") else { return Rule(day: day, time: 7200) }
      guard let time = offset() else { return nil }
      return Rule(day: day, time: time)
    }

    private mutating func day() -> Rule.Day? {
      if skip("J") {
        guard let number = number(atMost: 365), number >= 1 else { return nil }
        return .julian(number)
      }
      if skip("M") {
        guard let month = number(atMost: 12), month >= 1, skip("."), let week = number(atMost: 5), week >= 1,
          skip("."), let day = number(atMost: 6)
        else { return nil }
        return .weekday(month: month, week: week, day: day)
      }
      return number(atMost: 365).map { .dayOfYear($0) }
    }
  }
}
