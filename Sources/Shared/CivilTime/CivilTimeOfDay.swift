/// A time on the clock in whole minutes, `00:00`…`23:59`; `24:00`, the end of a day, only where it is asked for.
package struct CivilTimeOfDay: Sendable, Hashable {
  /// Minutes since midnight, 0…1440.
  package let minutes: Int

  /// - Returns: `nil` outside 0…1440.
  package init?(minutes: Int) {
    guard (0...1440).contains(minutes) else { return nil }
    self.minutes = minutes
  }

  package init?(hour: Int, minute: Int) {
    guard (0..<24).contains(hour), (0..<60).contains(minute) else { return nil }
    minutes = hour * 60 + minute
  }

  /// Reads exactly `HH:MM`; `24:00` only if `allowingEndOfDay`.
  package init?(_ text: some StringProtocol, allowingEndOfDay: Bool = false) {
    var reader = DigitReader(text.utf8)
    guard let hour = reader.number(digits: 2), reader.skip(":"), let minute = reader.number(digits: 2), reader.isAtEnd
    else { return nil }
    if allowingEndOfDay, hour == 24, minute == 0 {
      self = .endOfDay
    } else {
      self.init(hour: hour, minute: minute)
    }
  }

  package static let midnight = CivilTimeOfDay(clamping: 0)
  package static let endOfDay = CivilTimeOfDay(clamping: 1440)

  init(clamping minutes: Int) { self.minutes = min(max(minutes, 0), 1440) }
}

extension CivilTimeOfDay: Comparable {
  package static func < (lhs: CivilTimeOfDay, rhs: CivilTimeOfDay) -> Bool { lhs.minutes < rhs.minutes }
}

extension CivilTimeOfDay: CustomStringConvertible {
  /// `HH:MM`.
  package var description: String {
    var text = DigitWriter()
    text.write(minutes / 60, digits: 2)
    text.write(ascii: ":")
    text.write(minutes % 60, digits: 2)
    return text.string
  }
}

/// A date and a time on some wall clock, to the second; the time zone is elsewhere.
package struct CivilDateTime: Sendable, Hashable {
  package let date: CivilDate
  /// 0…86,399.
  package let secondOfDay: Int

  /// `24:00` is midnight of the next day.
  ///
  /// - Returns: `nil` beyond the calendar's last day.
  package init?(_ date: CivilDate, _ time: CivilTimeOfDay) {
    self.init(localSeconds: Int64(date.dayNumber) * 86_400 + Int64(time.minutes) * 60)
  }

  /// The time to the minute; seconds are cut off.
  package var time: CivilTimeOfDay { CivilTimeOfDay(clamping: secondOfDay / 60) }

  /// Seconds from 1970-01-01 00:00 on the same wall clock.
  package var localSeconds: Int64 { Int64(date.dayNumber) * 86_400 + Int64(secondOfDay) }

  package init?(localSeconds: Int64) {
    let day = Instant.floorDivide(localSeconds, by: 86_400)
    guard let date = CivilDate(dayNumber: Int(day)) else { return nil }
    self.date = date
    secondOfDay = Int(localSeconds - day * 86_400)
  }

  init(clampingLocalSeconds localSeconds: Int64) {
    let day = Instant.floorDivide(localSeconds, by: 86_400)
    date = CivilDate(clampingDayNumber: Int(day))
    secondOfDay = Int(localSeconds - day * 86_400)
  }
}

extension CivilDateTime: Comparable {
  package static func < (lhs: CivilDateTime, rhs: CivilDateTime) -> Bool { lhs.localSeconds < rhs.localSeconds }
}

extension CivilDateTime: CustomStringConvertible {
  /// `YYYY-MM-DD HH:MM`.
  package var description: String { "\(date) \(time)" }
}
