internal import CivilTime

extension BlockRule {
  /// Whether this rule covers any instant of `range` that `old` did not: only what a change adds can be in the way of
  /// an appointment that the old rule left alone or was forced upon (DOMAIN 5).
  func adds(to old: (rule: BlockRule, zone: TimeZoneRules), in range: Range<Instant>, zone: TimeZoneRules) -> Bool {
    let before = old.rule.intervals(overlapping: range, rules: old.zone)
    return intervals(overlapping: range, rules: zone).contains { interval in
      let part = interval.clamped(to: range)
      return !before.contains { $0.lowerBound <= part.lowerBound && part.upperBound <= $0.upperBound }
    }
  }
}
