import Contract
import StandardProtos
import TestSupport

@testable import AppointmentService

/// One change of a calendar, drawn without looking at it. What it changes is named by a place in the list of what there
/// is, modulo its length. Days count from 2025-12-10, minutes from midnight.
enum CalendarOperation: Sendable {
  case create(Slot)
  case batch([Slot])
  /// At least one part is there.
  case reschedule(Int, day: Int?, minute: Int?, duration: Int?)
  case status(Int, AppointmentV1.AppointmentStatus)
  case notes(Int, String)
  case block(Block)
  case moveBlock(Int, start: Int, end: Int)
  case deleteBlock(Int)

  struct Slot: Sendable, Hashable {
    var day: Int
    var minute: Int
    var duration: Int
    var zone: Zone
  }

  struct Block: Sendable, Hashable {
    var day: Int
    var start: Int
    var end: Int
    var zone: Zone
    var recurrence: Recurrence
  }

  enum Recurrence: Sendable, Hashable {
    case once
    case daily(interval: Int)
    /// Weekdays from 1, Monday, to 7.
    case weekly(Set<Int>)
  }

  /// Zones whose clocks do not change: what changes of clocks do has an oracle of its own.
  enum Zone: String, Sendable, CaseIterable {
    case utc = "UTC"
    case kolkata = "Asia/Kolkata"

    var minutesAhead: Int { self == .utc ? 0 : 330 }
  }
}

extension CalendarOperation {
  static func random(_ random: inout SeededGenerator) -> CalendarOperation {
    let target = Int.random(in: 0..<1000, using: &random)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<32: return .create(.random(&random))
    case 32..<40: return .batch((0..<Int.random(in: 2...4, using: &random)).map { _ in .random(&random) })
    case 40..<58:
      let (slot, parts) = (Slot.random(&random), Int.random(in: 1...7, using: &random))
      return .reschedule(
        target, day: parts & 1 != 0 ? slot.day : nil, minute: parts & 2 != 0 ? slot.minute : nil,
        duration: parts & 4 != 0 ? slot.duration : nil)
    case 58..<78:
      let statuses: [AppointmentV1.AppointmentStatus] = [
        .cancelled, .cancelled, .scheduled, .scheduled, .confirmed, .completed, .noShow,
      ]
      return .status(target, statuses[Int.random(in: 0..<statuses.count, using: &random)])
    case 78..<86: return .notes(target, ["", "better", "worse"][Int.random(in: 0..<3, using: &random)])
    case 86..<93: return .block(.random(&random))
    case 93..<97:
      let hours = Block.random(&random)
      return .moveBlock(target, start: hours.start, end: hours.end)
    default: return .deleteBlock(target)
    }
  }
}

extension CalendarOperation.Slot {
  static func random(_ random: inout SeededGenerator) -> Self {
    Self(
      day: Int.random(in: 0..<3, using: &random), minute: Int.random(in: 0..<1440, using: &random),
      duration: 15 * Int.random(in: 1...12, using: &random), zone: random.chance(70) ? .utc : .kolkata)
  }
}

extension CalendarOperation.Block {
  static func random(_ random: inout SeededGenerator) -> Self {
    let start = Int.random(in: 0..<1410, using: &random)
    let recurrence: CalendarOperation.Recurrence =
      switch Int.random(in: 0..<3, using: &random) {
      case 0: .once
      case 1: .daily(interval: Int.random(in: 1...3, using: &random))
      default: .weekly([Int.random(in: 1...7, using: &random), Int.random(in: 1...7, using: &random)])
      }
    return Self(
      day: Int.random(in: 0..<3, using: &random), start: start,
      end: start + Int.random(in: 5...30, using: &random), zone: random.chance(70) ? .utc : .kolkata,
      recurrence: recurrence)
  }
}

// MARK: - On the service

extension Clinic {
  /// What an operation answered.
  struct Answer: Sendable {
    var appointments: [AppointmentV1.Appointment] = []
    var block: AppointmentV1.TimeBlock?
    var deletedBlock: String?
  }

  /// Calls the service; `nil` if there is nothing yet that the operation could change.
  func perform(_ operation: CalendarOperation, on ids: [String], blocks blockIDs: [String]) async throws -> Answer? {
    func pick(_ place: Int, _ list: [String]) -> String? { list.isEmpty ? nil : list[place % list.count] }
    switch operation {
    case .create(let slot): return Answer(appointments: [try await create(message(slot))])
    case .batch(let slots):
      var request = AppointmentV1.BatchCreateAppointmentsRequest()
      request.requests = slots.map { slot in
        var item = AppointmentV1.CreateAppointmentRequest()
        item.appointment = message(slot)
        return item
      }
      return Answer(
        appointments: try await handlers.batchCreateAppointments(request, context: context()).appointments)
    case .reschedule(let place, let day, let minute, let duration):
      guard let id = pick(place, ids) else { return nil }
      var request = AppointmentV1.RescheduleAppointmentRequest()
      request.appointmentId = id
      request.date = day.map(Self.date)
      request.time = minute.map(CivilTimeText.of)
      request.duration = duration.map(Int32.init)
      let moved = try await handlers.rescheduleAppointment(request, context: context()).appointment
      return Answer(appointments: [moved].compactMap { $0 })
    case .status(let place, let status):
      guard let id = pick(place, ids) else { return nil }
      return Answer(appointments: [try await change(id, to: status, reason: "so it is")])
    case .notes(let place, let text):
      guard let id = pick(place, ids) else { return nil }
      return Answer(appointments: [try await note(id, text)])
    case .block(let block): return Answer(block: try await createBlock(message(block)).timeBlock)
    case .moveBlock(let place, let start, let end):
      guard let id = pick(place, blockIDs) else { return nil }
      var message = AppointmentV1.TimeBlock()
      message.id = id
      message.startTime = CivilTimeText.of(minutes: start)
      message.endTime = CivilTimeText.of(minutes: end)
      return Answer(block: try await updateBlock(message, ["start_time", "end_time"]).timeBlock)
    case .deleteBlock(let place):
      guard let id = pick(place, blockIDs) else { return nil }
      try await deleteBlock(id)
      return Answer(deletedBlock: id)
    }
  }

  func note(_ id: String, _ text: String) async throws -> AppointmentV1.Appointment {
    var request = AppointmentV1.UpdateAppointmentRequest()
    var appointment = AppointmentV1.Appointment()
    appointment.id = id
    appointment.notes = text
    request.appointment = appointment
    var mask = GoogleProtobuf.FieldMask()
    mask.paths = ["notes"]
    request.updateMask = mask
    return try await handlers.updateAppointment(request, context: context()).appointment ?? .init()
  }

  /// The whole history of an appointment, in pages of `size`.
  func history(
    of id: String, size: Int32 = 3, between: () async throws -> Void = {}
  ) async throws -> [AppointmentV1.HistoryEntry] {
    var request = AppointmentV1.ListAppointmentHistoryRequest()
    request.appointmentId = id
    request.pageSize = size
    var entries: [AppointmentV1.HistoryEntry] = []
    repeat {
      let page = try await handlers.listAppointmentHistory(request, context: context())
      entries += page.entries
      request.pageToken = page.nextPageToken
      try await between()
    } while !request.pageToken.isEmpty
    return entries
  }

  private func message(_ slot: CalendarOperation.Slot) -> AppointmentV1.Appointment {
    var message = appointment(
      Self.date(slot.day), CivilTimeText.of(minutes: slot.minute), duration: Int32(slot.duration))
    message.timeZone = slot.zone.rawValue
    message.notes = "made"
    return message
  }

  private func message(_ block: CalendarOperation.Block) -> AppointmentV1.TimeBlock {
    self.block(
      Self.date(block.day), CivilTimeText.of(minutes: block.start), CivilTimeText.of(minutes: block.end)
    ) { message in
      message.timeZone = block.zone.rawValue
      switch block.recurrence {
      case .once: break
      case .daily(let interval): message.recur(.daily) { $0.interval = Int32(interval) }
      case .weekly(let days):
        message.recur(.weekly) {
          $0.daysOfWeek = days.sorted().compactMap { AppointmentV1.DayOfWeek(rawValue: Int32($0)) }
        }
      }
    }
  }

  static func date(_ day: Int) -> String { "2025-12-\(10 + day)" }
}
