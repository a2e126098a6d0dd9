internal import CivilTime

/// On which dates a time block occurs, from its own date on (DOMAIN 5).
struct Recurrence: Sendable, Hashable {
  enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Every `interval` days; days of the week filter.
    case daily
    /// The days of the week (none: that of the block's date), in every `interval`-th week, weeks starting on Monday.
    case weekly
    /// The explicit dates, and the weekly pattern of the days of the week, if there are any.
    case custom
  }

  var kind: Kind
  /// The last date, inclusive; `nil` has no end.
  var endDate: CivilDate?
  var daysOfWeek: Set<Weekday>
  /// 1…52.
  var interval: Int
  /// Custom only.
  var dates: Set<CivilDate>
  var excludedDates: Set<CivilDate>

  init(
    kind: Kind, endDate: CivilDate? = nil, daysOfWeek: Set<Weekday> = [], interval: Int = 1,
    dates: Set<CivilDate> = [], excludedDates: Set<CivilDate> = []
  ) {
    self.kind = kind
    self.endDate = endDate
    self.daysOfWeek = daysOfWeek
    self.interval = interval
    self.dates = dates
    self.excludedDates = excludedDates
  }

  static let intervals = 1...52
  /// The most explicit dates, and the most excluded ones.
  static let maxDates = 366
}

extension Recurrence {
  /// Whether a block that begins on `anchor` occurs on `date`.
  ///
  /// The anchor only bounds: if it does not match the rule, it is no occurrence.
  func occurs(on date: CivilDate, anchor: CivilDate) -> Bool {
    guard date >= anchor, endDate.map({ date <= $0 }) ?? true, !excludedDates.contains(date) else { return false }
    return switch kind {
    case .daily:
      (date.dayNumber - anchor.dayNumber).isMultiple(of: interval)
        && (daysOfWeek.isEmpty || daysOfWeek.contains(date.weekday))
    case .weekly:
      matchesWeek(date, anchor: anchor, days: daysOfWeek.isEmpty ? [anchor.weekday] : daysOfWeek)
    case .custom:
      dates.contains(date) || matchesWeek(date, anchor: anchor, days: daysOfWeek)
    }
  }

  private func matchesWeek(_ date: CivilDate, anchor: CivilDate, days: Set<Weekday>) -> Bool {
    days.contains(date.weekday) && (Self.week(of: date) - Self.week(of: anchor)).isMultiple(of: interval)
  }

  /// Number of the week that starts on the Monday on or before a date. Day number 0, 1970-01-01, is a Thursday.
  private static func week(of date: CivilDate) -> Int {
    let daysSinceMonday = date.dayNumber + 3
    return (daysSinceMonday - (((daysSinceMonday % 7) + 7) % 7)) / 7
  }

  /// The first date on which a block that begins on `anchor` occurs; `nil` when there is none.
  func firstOccurrence(anchor: CivilDate) -> CivilDate? {
    let explicit = dates.filter { occurs(on: $0, anchor: anchor) }.min()
    if kind == .custom, daysOfWeek.isEmpty { return explicit }
    // The pattern repeats every lcm(interval, 7) or 7 × interval days, at most 364; within each period, at most
    // `excludedDates.count` of its dates can be taken away.
    let horizon = anchor.dayNumber + 7 * interval * (excludedDates.count + 1)
    let last = min(horizon, min(endDate ?? .last, explicit ?? .last).dayNumber)
    var day = anchor.dayNumber
    while day <= last {
      if let date = CivilDate(dayNumber: day), occurs(on: date, anchor: anchor) { return date }
      day += 1
    }
    return explicit
  }
}
