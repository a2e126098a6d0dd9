internal import CivilTime

/// Starts that a refused booking could have instead (DOMAIN 4, "Conflict error").
enum SlotSuggestions {
  /// How far ahead starts are searched.
  static let horizon = 14 * 24 * 60
  static let count = 3
  /// Starts are offered on the quarters of the wall clock, as SearchAvailability lists them.
  static let step = 15

  /// The next free starts after `slot.start`: the same duration and zone, on the quarter hours of its wall clock.
  ///
  /// Times that clocks skip are never among them, since they are found as instants; one that clocks repeat comes with
  /// its fold. `busy` has to cover ``window(of:)``.
  static func next(after slot: AppointmentSlot, busy: [BusyInterval], in rules: TimeZoneRules) -> [AppointmentSlot] {
    let busy = busy.map(\.interval).sorted { $0.lowerBound < $1.lowerBound }
    let latest = slot.start.adding(minutes: horizon)
    var result: [AppointmentSlot] = []
    var candidate = quarter(after: slot.start, in: rules)
    var index = 0
    // The end of what is busy so far: an interval may reach beyond those that start after it.
    var busyUntil = Instant(microseconds: .min)
    while result.count < count, candidate <= latest {
      let end = candidate.adding(minutes: slot.duration)
      while index < busy.count, busy[index].lowerBound < end {
        if busy[index].upperBound > candidate { busyUntil = max(busyUntil, busy[index].upperBound) }
        index += 1
      }
      if busyUntil > candidate {
        candidate = quarter(atOrAfter: busyUntil, in: rules)
        // What starts later may still be in the way of the new candidate, what was passed is not.
        continue
      }
      if let offered = AppointmentSlot(start: candidate, duration: slot.duration, in: rules) { result.append(offered) }
      candidate = quarter(after: candidate, in: rules)
    }
    return result
  }

  /// The time whose busy intervals decide on the suggestions.
  static func window(of slot: AppointmentSlot) -> Range<Instant> {
    slot.start..<slot.start.adding(minutes: horizon + slot.duration)
  }

  private static func quarter(after instant: Instant, in rules: TimeZoneRules) -> Instant {
    quarter(atOrAfter: instant.adding(microseconds: 1), in: rules)
  }

  /// The first instant from `instant` on at which the wall clock shows a quarter of an hour.
  ///
  /// Zones move their clocks by whole minutes, most by half an hour or an hour, so a few steps find it.
  private static func quarter(atOrAfter instant: Instant, in rules: TimeZoneRules) -> Instant {
    var candidate = instant
    for _ in 0..<4 {
      let offset = Int64(rules.offset(at: candidate)) * 1_000_000
      let unit = Int64(step) * 60 * 1_000_000
      let (local, overflow) = candidate.microseconds.addingReportingOverflow(offset)
      let rest = overflow ? 0 : ((local % unit) + unit) % unit
      if rest == 0 { return candidate }
      candidate = candidate.adding(microseconds: unit - rest)
    }
    return candidate
  }
}

extension AppointmentSlot {
  /// The slot that begins at an instant, as the zone's wall clock shows it.
  ///
  /// - Returns: `nil` when the clock does not show a whole minute there (offsets before 1972 had seconds).
  init?(start: Instant, duration: Int, in rules: TimeZoneRules) {
    let local = rules.local(at: start)
    guard local.secondOfDay % 60 == 0 else { return nil }
    let fold: Fold =
      switch rules.resolve(local) {
      case .unique: .unspecified
      case .fold(let earlier, _): earlier == start ? .earlier : .later
      case .gap: .unspecified
      }
    self.init(date: local.date, time: local.time, duration: duration, timeZone: rules.id, fold: fold, start: start)
  }
}
