internal import CivilTime
internal import Storage

/// A part of a clinician's schedule, as it was at one version: what is taken on some UTC days.
///
/// A value: a decision plays through on it what it wants, and the writes that result fail as a whole if the schedule
/// has changed since (DESIGN 6). The head was read before the days and blocks: a change that came in between makes the
/// head's condition fail.
struct ScheduleSnapshot: Sendable {
  let clinician: String
  var head: ScheduleHead
  /// The days that were read; a day outside was not, and must not be decided on.
  private(set) var days: [Int: ScheduleDay]
  /// Occurrences of time blocks on those days.
  let blocked: [BusyInterval]
  private var changedDays: Set<Int> = []

  init(clinician: String, head: ScheduleHead, days: [Int: ScheduleDay], blocked: [BusyInterval]) {
    self.clinician = clinician
    self.head = head
    self.days = days
    self.blocked = blocked
  }

  /// All that takes time, in order.
  var busy: [BusyInterval] {
    var appointments: [String: Range<Instant>] = [:]
    for day in days.values { appointments.merge(day.busy) { first, _ in first } }
    return (appointments.map { BusyInterval(kind: .appointment, id: $0.key, interval: $0.value) } + blocked).sorted()
  }

  /// What overlaps a range, in the order of time; half-open, so that back-to-back is free (DOMAIN 4).
  ///
  /// - Parameter ignored: an appointment that does not stand in its own way.
  func conflicts(with range: Range<Instant>, ignoring ignored: String? = nil) -> [BusyInterval] {
    busy.filter { $0.interval.overlaps(range) && !($0.kind == .appointment && $0.id == ignored) }
  }

  /// Takes time for an appointment. The days of the range must have been read.
  mutating func take(_ range: Range<Instant>, for appointment: String) {
    for day in range.utcDays {
      days[day, default: ScheduleDay(day)].busy[appointment] = range
      changedDays.insert(day)
    }
  }

  /// Frees what an appointment took. The days of its range must have been read.
  mutating func free(_ range: Range<Instant>, of appointment: String) {
    for day in range.utcDays where days[day]?.busy.removeValue(forKey: appointment) != nil {
      changedDays.insert(day)
    }
  }

  /// The head's write first, then the changed days.
  var writes: [Write] {
    [head.advanced(of: clinician)] + changedDays.sorted().compactMap { days[$0]?.write(of: clinician) }
  }
}
