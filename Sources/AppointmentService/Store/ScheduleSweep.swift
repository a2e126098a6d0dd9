internal import CivilTime
internal import Storage

/// Compares all items of the service's tables with each other, from scratch: what `verify` and the property tests
/// rely on. It shares no code with the decisions that wrote them, only the layout of single items.
struct ScheduleSweep: ItemSweep {
  enum Finding: Sendable, Hashable {
    /// An item that does not have its own form.
    case unreadable(ItemKey)
    /// Two appointments take the same time.
    case overlap(String, String)
    /// A UTC day does not hold exactly the appointments that take time of it.
    case dayDiffers(clinician: String, day: Int)
    case headMissing(clinician: String)
    /// A time block and its rule in the schedule are not the same, or one of them is missing.
    case blockDiffers(timeBlock: String)
    /// The head counts other rules than there are.
    case blockCountDiffers(clinician: String)
    /// A transcription's link and its appointment do not name each other.
    case linkDiffers(transcription: String)
    /// Entries are missing, twice or out of order, or the last status is not the present one.
    case historyBroken(appointment: String)
    /// Cancellation attributes without the status, or the other way round.
    case cancellationDiffers(appointment: String)
  }

  /// What is kept of an appointment until all are there.
  private struct Booking {
    var id: String
    var clinician: String
    var interval: Range<Instant>
  }

  private struct Day: Hashable {
    var clinician: String
    var day: Int
  }

  private struct Block: Hashable {
    var clinician: String
    var id: String
  }

  private var bookings: [Booking] = []
  private var days: [Day: ScheduleDay] = [:]
  private var heads: [String: ScheduleHead] = [:]
  private var clinicians: Set<String> = []
  private var blocks: [Block: LiveBlock] = [:]
  private var rules: [Block: LiveBlock] = [:]
  private var links: [String: String] = [:]
  private var linked: [String: String] = [:]
  /// Of appointments with more entries than are kept inline: all sequences, and those that are items of their own.
  private var longHistories: [String: (count: Int64, inline: [Int64])] = [:]
  private var spilled: [String: [Int64]] = [:]
  private var found: [Finding] = []

  mutating func add(_ item: Item, of table: TableSchema) {
    guard let partition = item["id"]?.stringValue, let sort = item["userId"]?.stringValue else { return }
    do throws(StoreError) {
      if table.name == Tables.timeBlocks.name {
        guard !partition.contains("#") else { return }
        let record = try TimeBlockItem.record(item)
        clinicians.insert(record.clinician)
        blocks[Block(clinician: record.clinician, id: record.id)] = LiveBlock(record)
        return
      }
      switch partition.split(separator: "#", maxSplits: 1).first.map(String.init) {
      case "schedule": try addSchedule(item, clinician: String(partition.dropFirst(9)), sort)
      case "transcription":
        links[String(partition.dropFirst(14))] = try ItemReader(item).string("appointmentId")
      case "history":
        spilled[String(partition.dropFirst(8)), default: []].append(Int64(sort.suffix(12)) ?? -1)
      case "idempotency", "secret": break
      default: add(try AppointmentItem.record(item))
      }
    } catch {
      found.append(.unreadable(ItemKey(partition, sort)))
    }
  }

  consuming func findings() -> [Finding] {
    checkOverlaps()
    checkDays()
    checkBlocks()
    checkLinks()
    checkLongHistories()
    return found
  }

  consuming func problems() -> [String] { findings().map(\.description) }
}

// MARK: - One item

extension ScheduleSweep {
  private mutating func addSchedule(_ item: Item, clinician: String, _ sort: String) throws(StoreError) {
    clinicians.insert(clinician)
    if sort == ScheduleItems.head {
      heads[clinician] = try ScheduleHead(item)
    } else if sort.hasPrefix("day#"), let date = CivilDate(sort.dropFirst(4)) {
      days[Day(clinician: clinician, day: date.dayNumber)] = try ScheduleDay(date.dayNumber, item)
    } else {
      let rule = try LiveBlock(item)
      // A rule under another key than its own is never found again by what reads the schedule.
      guard rule.key(of: clinician).sort == sort else { throw ItemReader.corrupt("userId") }
      rules[Block(clinician: clinician, id: rule.id)] = rule
    }
  }

  private mutating func add(_ appointment: AppointmentRecord) {
    clinicians.insert(appointment.clinician)
    if appointment.status != .cancelled {
      bookings.append(
        Booking(
          id: appointment.id, clinician: appointment.clinician,
          interval: appointment.slot.start..<appointment.slot.end))
    }
    if (appointment.status == .cancelled) != (appointment.cancellation != nil) {
      found.append(.cancellationDiffers(appointment: appointment.id))
    }
    if let transcription = appointment.transcriptionID,
      linked.updateValue(appointment.id, forKey: transcription) != nil
    {
      found.append(.linkDiffers(transcription: transcription))
    }
    let histories = appointment.histories
    let times = histories.status.map(\.at)
    if times != times.sorted() || histories.status.last?.change.status != appointment.status {
      found.append(.historyBroken(appointment: appointment.id))
    }
    let inline =
      histories.status.map(\.sequence) + histories.notes.map(\.sequence) + histories.reschedules.map(\.sequence)
    if inline.sorted() != Array(1...max(1, histories.count)) {
      longHistories[appointment.id] = (histories.count, inline)
    }
  }
}

// MARK: - Items against each other

extension ScheduleSweep {
  private mutating func checkOverlaps() {
    for (_, group) in Dictionary(grouping: bookings, by: \.clinician) {
      let ordered = group.sorted { $0.interval.lowerBound < $1.interval.lowerBound }
      var longest = ordered.first
      for next in ordered.dropFirst() {
        if let before = longest, before.interval.upperBound > next.interval.lowerBound {
          found.append(.overlap(before.id, next.id))
        }
        if next.interval.upperBound > longest?.interval.upperBound ?? next.interval.lowerBound { longest = next }
      }
    }
  }

  private mutating func checkDays() {
    var expected: [Day: [String: Range<Instant>]] = [:]
    for booking in bookings {
      var second = booking.interval.lowerBound
      // Day by day through the interval, rather than by its ends.
      while second < booking.interval.upperBound {
        let day = Day(clinician: booking.clinician, day: second.utcDayNumber)
        expected[day, default: [:]][booking.id] = booking.interval
        second = Instant(seconds: Int64(second.utcDayNumber + 1) * 86_400)
      }
    }
    for day in Set(expected.keys).union(days.keys) where expected[day] != days[day]?.busy {
      found.append(.dayDiffers(clinician: day.clinician, day: day.day))
    }
    for clinician in clinicians where heads[clinician] == nil { found.append(.headMissing(clinician: clinician)) }
  }

  private mutating func checkBlocks() {
    for block in Set(blocks.keys).union(rules.keys) where blocks[block] != rules[block] {
      found.append(.blockDiffers(timeBlock: block.id))
    }
    let counts = Dictionary(grouping: rules.keys, by: \.clinician).mapValues { Int64($0.count) }
    for (clinician, head) in heads where head.blockCount != counts[clinician] ?? 0 {
      found.append(.blockCountDiffers(clinician: clinician))
    }
  }

  private mutating func checkLinks() {
    for transcription in Set(linked.keys).union(links.keys) where linked[transcription] != links[transcription] {
      found.append(.linkDiffers(transcription: transcription))
    }
  }

  private mutating func checkLongHistories() {
    for appointment in Set(longHistories.keys).union(spilled.keys) {
      let (count, inline) = longHistories[appointment] ?? (0, [])
      if (inline + (spilled[appointment] ?? [])).sorted() != Array(1...max(1, count)) {
        found.append(.historyBroken(appointment: appointment))
      }
    }
  }
}

extension ScheduleSweep.Finding: CustomStringConvertible {
  /// One sentence without its full stop.
  var description: String {
    switch self {
    case .unreadable(let key): "item \(key.partition) does not have the form of its kind"
    case .overlap(let first, let second): "appointments \(first) and \(second) take the same time"
    case .dayDiffers(let clinician, let day):
      "the schedule of clinician \(clinician) for \(CivilDate(dayNumber: day).map { "\($0)" } ?? "day \(day)") "
        + "differs from the appointments"
    case .headMissing(let clinician): "clinician \(clinician) has no schedule head"
    case .blockDiffers(let id): "time block \(id) differs from its rule in the schedule"
    case .blockCountDiffers(let clinician):
      "the schedule head of clinician \(clinician) counts other time blocks than there are"
    case .linkDiffers(let transcription):
      "the link of transcription \(transcription) and the appointments differ"
    case .historyBroken(let appointment): "the history of appointment \(appointment) is broken"
    case .cancellationDiffers(let appointment):
      "the status of appointment \(appointment) and its cancellation differ"
    }
  }
}
