import Contract

/// A clinician's calendar as one would keep it on paper, minute by minute: what the service is held against. Shares
/// nothing with it. Minutes count from 2025-12-10, 00:00 UTC, a Wednesday.
struct CalendarModel: Sendable {
  typealias Slot = CalendarOperation.Slot
  typealias Block = CalendarOperation.Block
  typealias Status = AppointmentV1.AppointmentStatus

  struct Booking: Sendable, Equatable {
    var slot: Slot
    var status: Status = .scheduled
    var notes = "made"
    var version: Int64 = 1
    var history = ["scheduled", "notes: made"]
  }

  /// In the order in which they were made.
  private(set) var ids: [String] = []
  private(set) var blockIDs: [String] = []
  private(set) var bookings: [String: Booking] = [:]
  private(set) var blocks: [String: Block] = [:]

  static func minutes(_ slot: Slot) -> Range<Int> {
    let start = slot.day * 1440 + slot.minute - slot.zone.minutesAhead
    return start..<(start + slot.duration)
  }

  static func covers(_ block: Block, _ minute: Int) -> Bool {
    let local = minute + block.zone.minutesAhead
    let day = Int((Double(local) / 1440).rounded(.down))
    guard (block.start..<block.end).contains(local - day * 1440), day >= block.day else { return false }
    return switch block.recurrence {
    case .once: day == block.day
    case .daily(let interval): (day - block.day) % interval == 0
    case .weekly(let days): days.contains((day + 2) % 7 + 1)
    }
  }

  /// Why the service refuses an operation; `nil` if it does as it is told.
  func refusal(of operation: CalendarOperation) -> String? {
    switch operation {
    case .create(let slot): return isFree(slot) ? nil : "SLOT_CONFLICT"
    case .batch(let slots):
      var tried = self
      for (place, slot) in slots.enumerated() {
        guard tried.isFree(slot) else { return "SLOT_CONFLICT" }
        tried.bookings["batch \(place)"] = Booking(slot: slot)
      }
      return nil
    case .reschedule(let place, let day, let minute, let duration):
      guard let (id, booking) = booking(place) else { return nil }
      guard booking.status == .scheduled || booking.status == .confirmed else { return "INVALID_STATUS_TRANSITION" }
      return isFree(moved(booking.slot, day, minute, duration), except: id) ? nil : "SLOT_CONFLICT"
    case .status(let place, let status):
      guard let (id, booking) = booking(place) else { return nil }
      guard Self.steps[booking.status]?.contains(status) == true else { return "INVALID_STATUS_TRANSITION" }
      return booking.status == .cancelled && !isFree(booking.slot, except: id) ? "SLOT_CONFLICT" : nil
    case .notes, .deleteBlock: return nil
    case .block(let block): return hits(block, instead: nil) ? "BLOCK_CONFLICTS_WITH_APPOINTMENTS" : nil
    case .moveBlock(let place, let start, let end):
      guard let (_, old) = block(place) else { return nil }
      return hits(moved(old, start, end), instead: old) ? "BLOCK_CONFLICTS_WITH_APPOINTMENTS" : nil
    }
  }

  /// Does an operation that is not refused; `made` are the ids that the service gave.
  mutating func apply(_ operation: CalendarOperation, made: [String]) {
    switch operation {
    case .create(let slot): add([slot], made)
    case .batch(let slots): add(slots, made)
    case .reschedule(let place, let day, let minute, let duration):
      guard let (id, booking) = booking(place) else { return }
      let slot = moved(booking.slot, day, minute, duration)
      if slot == booking.slot { return }
      change(id, "\(Self.minutes(booking.slot)) to \(Self.minutes(slot))") { $0.slot = slot }
    case .status(let place, let status):
      guard let (id, _) = booking(place) else { return }
      change(id, Self.name(status)) { $0.status = status }
    case .notes(let place, let text):
      guard let (id, booking) = booking(place), booking.notes != text else { return }
      change(id, "notes: \(text)") { $0.notes = text }
    case .block(let block):
      blockIDs += made
      for id in made { blocks[id] = block }
    case .moveBlock(let place, let start, let end):
      guard let (id, old) = block(place) else { return }
      blocks[id] = moved(old, start, end)
    case .deleteBlock(let place):
      guard let (id, _) = block(place) else { return }
      blocks[id] = nil
      blockIDs.removeAll { $0 == id }
    }
  }

  static func name(_ status: Status) -> String {
    switch status {
    case .scheduled: "scheduled"
    case .confirmed: "confirmed"
    case .completed: "completed"
    case .cancelled: "cancelled"
    case .noShow: "no-show"
    default: "unknown"
    }
  }
}

extension CalendarModel {
  /// DOMAIN 4's table.
  private static let steps: [Status: Set<Status>] = [
    .scheduled: [.confirmed, .completed, .cancelled, .noShow],
    .confirmed: [.scheduled, .completed, .cancelled, .noShow],
    .completed: [.noShow], .noShow: [.completed], .cancelled: [.scheduled],
  ]

  private func booking(_ place: Int) -> (String, Booking)? {
    guard !ids.isEmpty, let booking = bookings[ids[place % ids.count]] else { return nil }
    return (ids[place % ids.count], booking)
  }

  private func block(_ place: Int) -> (String, Block)? {
    guard !blockIDs.isEmpty, let block = blocks[blockIDs[place % blockIDs.count]] else { return nil }
    return (blockIDs[place % blockIDs.count], block)
  }

  private func moved(_ slot: Slot, _ day: Int?, _ minute: Int?, _ duration: Int?) -> Slot {
    Slot(
      day: day ?? slot.day, minute: minute ?? slot.minute, duration: duration ?? slot.duration, zone: slot.zone)
  }

  private func moved(_ block: Block, _ start: Int, _ end: Int) -> Block {
    Block(day: block.day, start: start, end: end, zone: block.zone, recurrence: block.recurrence)
  }

  private func isFree(_ slot: Slot, except id: String = "") -> Bool {
    let minutes = Self.minutes(slot)
    let taken = bookings.contains { $0 != id && $1.status != .cancelled && Self.minutes($1.slot).overlaps(minutes) }
    return !taken && !blocks.values.contains { block in minutes.contains { Self.covers(block, $0) } }
  }

  /// Whether a block would cover a booked minute that the one it replaces did not.
  private func hits(_ block: Block, instead old: Block?) -> Bool {
    bookings.values.contains { booking in
      booking.status != .cancelled
        && Self.minutes(booking.slot).contains { minute in
          Self.covers(block, minute) && !(old.map { Self.covers($0, minute) } ?? false)
        }
    }
  }

  private mutating func add(_ slots: [Slot], _ made: [String]) {
    ids += made
    for (slot, id) in zip(slots, made) { bookings[id] = Booking(slot: slot) }
  }

  private mutating func change(_ id: String, _ entry: String, _ body: (inout Booking) -> Void) {
    guard var booking = bookings[id] else { return }
    body(&booking)
    booking.version += 1
    booking.history.append(entry)
    bookings[id] = booking
  }
}
