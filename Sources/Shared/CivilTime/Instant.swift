/// A point on the time line, in microseconds since 1970-01-01T00:00:00Z (leap seconds are not counted).
///
/// It always lies in the years 1…9999 when it came from a parser or a clock; arithmetic saturates at the bounds of
/// `Int64` instead of trapping.
package struct Instant: Sendable, Hashable {
  package var microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  /// The start of a whole second since 1970 (saturating).
  package init(seconds: Int64) {
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    microseconds = overflow ? (seconds < 0 ? .min : .max) : product
  }

  /// From the two parts of a `google.protobuf.Timestamp`; what is finer than a microsecond is cut off.
  ///
  /// - Returns: `nil` outside the years 1…9999, or when `nanoseconds` is not in 0…999,999,999.
  package init?(seconds: Int64, nanoseconds: Int32) {
    guard Self.secondsOfCalendar.contains(seconds), (0..<1_000_000_000).contains(nanoseconds) else { return nil }
    microseconds = seconds * 1_000_000 + Int64(nanoseconds / 1000)
  }

  /// Whole seconds since 1970, rounded towards the past.
  package var seconds: Int64 { Self.floorDivide(microseconds, by: 1_000_000) }
  /// The rest of ``seconds``: 0…999,999,000.
  package var nanoseconds: Int32 { Int32((microseconds - seconds * 1_000_000) * 1000) }

  /// The seconds of the years 1…9999, the range of RFC 3339 and of `google.protobuf.Timestamp`.
  package static let secondsOfCalendar: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

  /// The UTC day it lies in, in days since 1970-01-01.
  package var utcDayNumber: Int { Int(Self.floorDivide(microseconds, by: 86_400_000_000)) }

  static func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
  }
}

extension Instant: Comparable {
  package static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.microseconds < rhs.microseconds }
}

extension Instant {
  package func adding(microseconds delta: Int64) -> Instant {
    let (sum, overflow) = microseconds.addingReportingOverflow(delta)
    return Instant(microseconds: overflow ? (delta < 0 ? .min : .max) : sum)
  }

  package func adding(seconds delta: Int64) -> Instant {
    adding(microseconds: Instant(seconds: delta).microseconds)
  }

  package func adding(minutes delta: Int) -> Instant { adding(seconds: Int64(delta) * 60) }
}
