internal import CivilTime

/// A range of a clinician's time that is taken, and by what.
struct BusyInterval: Sendable, Hashable {
  enum Kind: Sendable, Hashable {
    case appointment
    /// One occurrence of a time block.
    case timeBlock
  }

  var kind: Kind
  /// The appointment or time block.
  var id: String
  /// Half-open: back-to-back is free (DOMAIN 4).
  var interval: Range<Instant>
}

extension BusyInterval: Comparable {
  /// In the order of time; what starts together is ordered by end and id, so that answers are stable.
  static func < (lhs: BusyInterval, rhs: BusyInterval) -> Bool {
    (lhs.interval.lowerBound, lhs.interval.upperBound, lhs.id)
      < (rhs.interval.lowerBound, rhs.interval.upperBound, rhs.id)
  }
}

extension Range<Instant> {
  /// The UTC days that the range touches, as days since 1970.
  var utcDays: ClosedRange<Int> {
    let last = isEmpty ? lowerBound : upperBound.adding(microseconds: -1)
    return lowerBound.utcDayNumber...Swift.max(lowerBound.utcDayNumber, last.utcDayNumber)
  }
}
