internal import CivilTime
internal import Storage

/// Compares all items of the appointments table with each other, from scratch: what `verify` and the property tests
/// rely on. It shares no code with the decisions that wrote them, only the layout of single items.
struct ScheduleSweep: Sendable {
  enum Finding: Sendable, Hashable {
    /// An item that does not have its own form.
    case unreadable(ItemKey)
    /// Two appointments take the same time.
    case overlap(String, String)
    /// A UTC day does not hold exactly the appointments that take time of it.
    case dayDiffers(clinician: String, day: Int)
    case headMissing(clinician: String)
    /// A transcription's link and its appointment do not name each other.
    case linkDiffers(transcription: String)
    /// Entries are missing, twice or out of order, or the last status is not the present one.
    case historyBroken(appointment: String)
    /// Cancellation attributes without the status, or the other way round.
    case cancellationDiffers(appointment: String)
  }

  private struct Day: Hashable {
    var clinician: String
    var day: Int
  }

  private var appointments: [AppointmentRecord] = []
  private var days: [Day: ScheduleDay] = [:]
  private var heads: Set<String> = []
  private var links: [String: String] = [:]
  private var spilled: [String: [Int64]] = [:]
  private var findings: [Finding] = []

  /// - Parameter items: the whole table, in any order.
  static func findings(in items: [Item]) -> [Finding] {
    var sweep = ScheduleSweep()
    for item in items { sweep.sort(item) }
    sweep.checkOverlaps()
    sweep.checkDays()
    sweep.checkLinks()
    for appointment in sweep.appointments { sweep.check(appointment) }
    return sweep.findings
  }
}

extension ScheduleSweep {
  private mutating func sort(_ item: Item) {
    guard let partition = item["id"]?.stringValue, let sort = item["userId"]?.stringValue else { return }
    do throws(StoreError) {
      switch partition.split(separator: "#", maxSplits: 1).first.map(String.init) {
      case "schedule": try sortSchedule(item, clinician: String(partition.dropFirst(9)), sort)
      case "transcription":
        links[String(partition.dropFirst(14))] = try ItemReader(item).string("appointmentId")
      case "history":
        spilled[String(partition.dropFirst(8)), default: []].append(Int64(sort.suffix(12)) ?? -1)
      case "idempotency", "secret": break
      default: appointments.append(try AppointmentItem.record(item))
      }
    } catch {
      findings.append(.unreadable(ItemKey(partition, sort)))
    }
  }

  private mutating func sortSchedule(_ item: Item, clinician: String, _ sort: String) throws(StoreError) {
    if sort == ScheduleItems.head {
      _ = try ScheduleHead(item)
      heads.insert(clinician)
    } else if sort.hasPrefix("day#"), let date = CivilDate(sort.dropFirst(4)) {
      days[Day(clinician: clinician, day: date.dayNumber)] = try ScheduleDay(date.dayNumber, item)
    }
  }

  private mutating func checkOverlaps() {
    let blocking = appointments.filter { $0.status != .cancelled }
    for (_, group) in Dictionary(grouping: blocking, by: \.clinician) {
      let ordered = group.sorted { $0.slot.start < $1.slot.start }
      var longest = ordered.first
      for next in ordered.dropFirst() {
        if let before = longest, before.slot.end > next.slot.start { findings.append(.overlap(before.id, next.id)) }
        if next.slot.end > longest?.slot.end ?? next.slot.start { longest = next }
      }
    }
  }

  private mutating func checkDays() {
    var expected: [Day: [String: Range<Instant>]] = [:]
    for appointment in appointments where appointment.status != .cancelled {
      var second = appointment.slot.start
      // Day by day through the interval, rather than by its ends.
      while second < appointment.slot.end {
        let day = Day(clinician: appointment.clinician, day: second.utcDayNumber)
        expected[day, default: [:]][appointment.id] = appointment.slot.start..<appointment.slot.end
        second = Instant(seconds: Int64(second.utcDayNumber + 1) * 86_400)
      }
    }
    for day in Set(expected.keys).union(days.keys) where expected[day] != days[day]?.busy {
      findings.append(.dayDiffers(clinician: day.clinician, day: day.day))
    }
    for clinician in Set(appointments.map(\.clinician)).union(days.keys.map(\.clinician)).subtracting(heads) {
      findings.append(.headMissing(clinician: clinician))
    }
  }

  private mutating func checkLinks() {
    var expected: [String: String] = [:]
    for appointment in appointments {
      guard let transcription = appointment.transcriptionID else { continue }
      if expected.updateValue(appointment.id, forKey: transcription) != nil {
        findings.append(.linkDiffers(transcription: transcription))
      }
    }
    for transcription in Set(expected.keys).union(links.keys) where expected[transcription] != links[transcription] {
      findings.append(.linkDiffers(transcription: transcription))
    }
  }

  private mutating func check(_ appointment: AppointmentRecord) {
    let histories = appointment.histories
    let sequences =
      (spilled[appointment.id] ?? []) + histories.status.map(\.sequence) + histories.notes.map(\.sequence)
      + histories.reschedules.map(\.sequence)
    let times = histories.status.map(\.at)
    if sequences.sorted() != Array(1...max(1, histories.count)) || times != times.sorted()
      || histories.status.last?.change.status != appointment.status
    {
      findings.append(.historyBroken(appointment: appointment.id))
    }
    if (appointment.status == .cancelled) != (appointment.cancellation != nil) {
      findings.append(.cancellationDiffers(appointment: appointment.id))
    }
  }
}
