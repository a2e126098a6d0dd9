/// A date of the proleptic Gregorian calendar, years 1…9999; it belongs to no time zone.
package struct CivilDate: Sendable, Hashable {
  package let year: Int
  package let month: Int
  package let day: Int

  /// - Returns: `nil` unless such a date exists (29 February only in leap years).
  package init?(year: Int, month: Int, day: Int) {
    guard (1...9999).contains(year), (1...12).contains(month), day >= 1, day <= Self.days(inMonth: month, of: year)
    else { return nil }
    self.year = year
    self.month = month
    self.day = day
  }

  /// Reads exactly `YYYY-MM-DD`.
  package init?(_ text: some StringProtocol) {
    var reader = DigitReader(text.utf8)
    guard let year = reader.number(digits: 4), reader.skip("-"), let month = reader.number(digits: 2),
      reader.skip("-"), let day = reader.number(digits: 2), reader.isAtEnd
    else { return nil }
    self.init(year: year, month: month, day: day)
  }

  package static let first = CivilDate(clampingDayNumber: -719_162)
  package static let last = CivilDate(clampingDayNumber: 2_932_896)

  package static func isLeap(year: Int) -> Bool {
    year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
  }

  package static func days(inMonth month: Int, of year: Int) -> Int {
    switch month {
    case 2: isLeap(year: year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}

extension CivilDate: Comparable {
  package static func < (lhs: CivilDate, rhs: CivilDate) -> Bool {
    (lhs.year, lhs.month, lhs.day) < (rhs.year, rhs.month, rhs.day)
  }
}

extension CivilDate: CustomStringConvertible {
  /// `YYYY-MM-DD`.
  package var description: String {
    var text = DigitWriter()
    text.write(self)
    return text.string
  }
}

// MARK: - Day numbers

extension CivilDate {
  /// Days since 1970-01-01.
  package var dayNumber: Int {
    // Months are counted from March, so that the leap day is the last day of the counted year; 400 years have a fixed
    // number of days, and the year is made positive by counting from such a cycle's start.
    let marchYear = month > 2 ? year : year - 1
    let marchMonth = (month + 9) % 12
    let cycle = marchYear / 400
    let yearOfCycle = marchYear % 400
    let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
    return cycle * 146_097 + yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear - 719_468
  }

  /// - Returns: `nil` outside the years 1…9999.
  package init?(dayNumber: Int) {
    guard dayNumber >= Self.first.dayNumber, dayNumber <= Self.last.dayNumber else { return nil }
    self.init(clampingDayNumber: dayNumber)
  }

  /// The date of a day number, or the first or last date of the calendar beyond it.
  init(clampingDayNumber dayNumber: Int) {
    let shifted = min(max(dayNumber, -719_162), 2_932_896) + 719_468
    let cycle = shifted / 146_097
    let dayOfCycle = shifted % 146_097
    let yearOfCycle = (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
  }

  /// - Returns: `nil` outside the years 1…9999.
  package func adding(days: Int) -> CivilDate? {
    let (sum, overflow) = dayNumber.addingReportingOverflow(days)
    return overflow ? nil : CivilDate(dayNumber: sum)
  }

  /// The same day of another month, or that month's last day when it is shorter.
  ///
  /// - Returns: `nil` outside the years 1…9999.
  package func adding(months: Int) -> CivilDate? {
    let (sum, overflow) = (year * 12 + month - 1).addingReportingOverflow(months)
    guard !overflow, sum >= 12, sum < 10_000 * 12 else { return nil }
    let (year, month) = (sum / 12, sum % 12 + 1)
    return CivilDate(year: year, month: month, day: min(day, Self.days(inMonth: month, of: year)))
  }

  /// Whole years from this date to `date`; somebody born on 29 February completes a year on 1 March of a common year.
  package func completedYears(at date: CivilDate) -> Int {
    date.year - year - ((date.month, date.day) < (month, day) ? 1 : 0)
  }

  package var weekday: Weekday {
    // 1970-01-01 was a Thursday.
    let index = (dayNumber % 7 + 10) % 7
    return Weekday(rawValue: index + 1) ?? .monday
  }

  /// The Monday of its ISO week; `nil` in the first week of the calendar's first year if that begins before it.
  package var startOfISOWeek: CivilDate? { adding(days: 1 - weekday.rawValue) }
}

/// A day of the week, numbered as in ISO 8601 and `google.type.DayOfWeek`.
package enum Weekday: Int, Sendable, Hashable, CaseIterable {
  case monday = 1
  case tuesday, wednesday, thursday, friday, saturday, sunday
}
