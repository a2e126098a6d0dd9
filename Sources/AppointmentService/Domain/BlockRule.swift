internal import CivilTime

/// When a time block takes its clinician's time: the part of it that decides on conflicts (DOMAIN 5).
struct BlockRule: Sendable, Hashable {
  /// The date, or the lower bound of the recurrence.
  var date: CivilDate
  /// On the wall clock of `timeZone`; `end` is later than `start` and may be the end of the day.
  var start: CivilTimeOfDay
  var end: CivilTimeOfDay
  /// IANA name.
  var timeZone: String
  /// `nil`: on `date` only.
  var recurrence: Recurrence?
}

extension BlockRule {
  /// The last date on which it may occur; `nil` when there is no end.
  var lastDate: CivilDate? {
    guard let recurrence else { return date }
    return recurrence.endDate
  }

  /// Whether it ever occurs.
  var hasOccurrence: Bool {
    guard let recurrence else { return true }
    return recurrence.firstOccurrence(anchor: date) != nil
  }

  func occurs(on day: CivilDate) -> Bool {
    recurrence?.occurs(on: day, anchor: date) ?? (day == date)
  }

  /// Its dates in a window, in order. Looks at each day of the window: callers bound it.
  func occurrences(in window: ClosedRange<CivilDate>) -> [CivilDate] {
    let first = max(window.lowerBound, date)
    let last = min(window.upperBound, lastDate ?? window.upperBound)
    guard first <= last else { return [] }
    return (first.dayNumber...last.dayNumber).lazy.compactMap { CivilDate(dayNumber: $0) }.filter { occurs(on: $0) }
  }

  /// The instants that the occurrence on a date covers: every instant at which the wall clock shows that date and a
  /// time in `[start, end)`. Nothing of a gap; both passes of a fold.
  func intervals(on day: CivilDate, rules: TimeZoneRules) -> [Range<Instant>] {
    rules.instants(on: day, from: start, to: end)
  }

  /// What it covers of a range of instants, in order, each range whole.
  ///
  /// Exact for rules without end as well: only dates that the wall clock shows within the range can matter.
  func intervals(overlapping range: Range<Instant>, rules: TimeZoneRules) -> [Range<Instant>] {
    guard range.lowerBound < range.upperBound else { return [] }
    // A zone's clock can be set back over midnight, so the day before and the day after are looked at, too.
    let first = rules.date(at: range.lowerBound).adding(days: -1) ?? CivilDate.first
    let last = rules.date(at: range.upperBound).adding(days: 1) ?? CivilDate.last
    return occurrences(in: min(first, last)...max(first, last)).flatMap { intervals(on: $0, rules: rules) }
      .filter { $0.overlaps(range) }
  }

  func overlaps(_ range: Range<Instant>, rules: TimeZoneRules) -> Bool {
    !intervals(overlapping: range, rules: rules).isEmpty
  }
}
