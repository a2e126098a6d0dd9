/// When a zone's wall clocks show what: the offsets from UTC over all time.
///
/// Got from a ``TimeZoneDatabase``, since the rules are those of the system's tzdata (DOMAIN 5).
package struct TimeZoneRules: Sendable, Hashable {
  /// The IANA name it was asked for by, such as `America/Toronto`.
  package let id: String
  private let data: TZif

  init(id: String, data: TZif) {
    self.id = id
    self.data = data
  }

  /// A stretch of time `[start, end)` with one offset; UTC seconds, `nil` where it has no end.
  struct Period: Hashable {
    var start: Int64?
    var end: Int64?
    var offset: Int32
  }

  /// The period that holds at a UTC second.
  func period(at seconds: Int64) -> Period {
    // The number of transitions at or before the instant.
    var (low, high) = (0, data.transitions.count)
    while low < high {
      let middle = (low + high) / 2
      if data.transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
    }
    if low == data.transitions.count, let footer = data.footer {
      return period(at: seconds, by: footer, from: data.transitions.last)
    }
    return Period(
      start: low > 0 ? data.transitions[low - 1] : nil,
      end: low < data.transitions.count ? data.transitions[low] : nil,
      offset: data.offsets[low > 0 ? Int(data.typeOfTransition[low - 1]) : 0])
  }

  private func period(at seconds: Int64, by footer: PosixTimeZone, from last: Int64?) -> Period {
    let changes = footer.changes(around: seconds)
    guard let next = changes.firstIndex(where: { $0.at > seconds }), next > 0 else {
      return Period(start: last, end: nil, offset: footer.standardOffset)
    }
    let start = changes[next - 1].at
    return Period(
      start: last.map { max($0, start) } ?? start, end: changes[next].at, offset: changes[next - 1].offset)
  }
}

// MARK: - Instant to wall clock

extension TimeZoneRules {
  /// Seconds east of UTC at an instant.
  package func offset(at instant: Instant) -> Int { Int(period(at: instant.seconds).offset) }

  /// What the wall clock shows at an instant.
  package func local(at instant: Instant) -> CivilDateTime {
    let seconds = instant.seconds
    return CivilDateTime(clampingLocalSeconds: seconds + Int64(period(at: seconds).offset))
  }

  /// The date on the wall at an instant: "today".
  package func date(at instant: Instant) -> CivilDate { local(at: instant).date }
}

// MARK: - Wall clock to instant

/// Which instants a wall clock time names.
package enum LocalTimeResolution: Sendable, Hashable {
  case unique(Instant)
  /// The clock shows it twice, since it was set back.
  case fold(earlier: Instant, later: Instant)
  /// The clock skips it; the first instant after the gap is the first valid time.
  case gap(firstValid: Instant)
}

extension TimeZoneRules {
  package func resolve(_ local: CivilDateTime) -> LocalTimeResolution {
    let seconds = local.localSeconds
    let matches = periods(around: seconds).compactMap { period -> Int64? in
      let candidate = seconds - Int64(period.offset)
      return period.contains(candidate) ? candidate : nil
    }
    if let first = matches.first, let last = matches.last {
      return first == last
        ? .unique(Instant(seconds: first))
        : .fold(earlier: Instant(seconds: first), later: Instant(seconds: last))
    }
    // The clock jumps over it: the jump is the first start of a period whose clock begins after it.
    let jump = periods(around: seconds).first { period in
      guard let start = period.start else { return false }
      return start + Int64(period.offset) > seconds
    }
    return .gap(firstValid: Instant(seconds: jump?.start ?? seconds))
  }

  /// All instants at which the wall clock shows `date` and a time in `[start, end)`, as disjoint ranges in order.
  ///
  /// In a gap the skipped minutes are not there; in a fold both passes are (DOMAIN 5, "Time semantics").
  package func instants(
    on date: CivilDate, from start: CivilTimeOfDay, to end: CivilTimeOfDay
  ) -> [Range<Instant>] {
    let midnight = Int64(date.dayNumber) * 86_400
    let (first, last) = (midnight + Int64(start.minutes) * 60, midnight + Int64(end.minutes) * 60)
    var result: [Range<Instant>] = []
    for period in periods(from: first, to: last) {
      let from = max(first - Int64(period.offset), period.start ?? .min)
      let to = min(last - Int64(period.offset), period.end ?? .max)
      guard from < to else { continue }
      if let previous = result.last, previous.upperBound == Instant(seconds: from) {
        result[result.count - 1] = previous.lowerBound..<Instant(seconds: to)
      } else {
        result.append(Instant(seconds: from)..<Instant(seconds: to))
      }
    }
    return result
  }

  private func periods(around localSeconds: Int64) -> [Period] { periods(from: localSeconds, to: localSeconds) }

  /// The periods that could hold a wall clock second of a range, whatever their offset is; in order.
  private func periods(from first: Int64, to last: Int64) -> [Period] {
    let end = last - Int64(TZif.offsetRange.lowerBound)
    var result = [period(at: first - Int64(TZif.offsetRange.upperBound))]
    while let next = result.last?.end, next <= end {
      result.append(period(at: next))
    }
    return result
  }
}

extension TimeZoneRules.Period {
  func contains(_ seconds: Int64) -> Bool {
    if let start, seconds < start { return false }
    if let end, seconds >= end { return false }
    return true
  }
}
