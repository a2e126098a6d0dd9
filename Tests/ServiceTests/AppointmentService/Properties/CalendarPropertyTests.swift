import Contract
import Foundation
import StandardProtos
import Synchronization
import TestSupport
import Testing

@testable import AppointmentService

/// Laws of the calendar over random changes; the seed is the argument.
@Suite("DOMAIN 4, 5 and 8: properties of a calendar under any mix of changes")
struct CalendarPropertyTests {
  /// More with `CLINICAVOICE_PROPERTY_SEEDS`.
  static let seeds = 1...(ProcessInfo.processInfo.environment["CLINICAVOICE_PROPERTY_SEEDS"].flatMap(UInt64.init) ?? 8)

  @Test("each change is taken or refused as a calendar on paper says, and leaves what it says", arguments: seeds)
  func asOnPaper(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let clinic = Clinic()
    var model = CalendarModel()
    for step in 0..<150 {
      let operation = CalendarOperation.random(&random)
      let (ids, blocks) = (model.ids, model.blockIDs)
      let result = await Result { try await clinic.perform(operation, on: ids, blocks: blocks) }
      #expect(result.failureStatus?.reason == model.refusal(of: operation), "step \(step): \(operation)")
      guard let answer = result.success.flatMap(\.self) else { continue }
      model.apply(operation, made: answer.appointments.map(\.id) + [answer.block?.id].compactMap(\.self))
    }
    let listed = try await clinic.walk(size: 7)
    #expect(listed.count == model.bookings.count && model.bookings.count > 10)
    for appointment in listed {
      let expected = try #require(model.bookings[appointment.id])
      #expect(try await Self.booking(appointment, expected.slot, clinic.history(of: appointment.id)) == expected)
    }
    #expect(try await clinic.findings() == [])
  }

  @Test(
    "whoever wins between concurrent changes, no minute is taken twice and nothing acknowledged is lost",
    arguments: seeds, ClinicEngine.allCases)
  func concurrent(seed: UInt64, engine: ClinicEngine) async throws {
    try await engine.withClinic { clinic in
      let ledger = Ledger()
      await withTaskGroup(of: Void.self) { group in
        for worker in 0..<6 {
          group.addTask {
            var random = SeededGenerator(seed: seed * 100 + UInt64(worker))
            for _ in 0..<30 { await Self.step(.random(&random), clinic, ledger) }
          }
        }
      }
      #expect(try await clinic.findings() == [])
      let listed = try await clinic.walk(size: 9)
      try Self.expectNoMinuteTwice(listed, blocks: ledger.blocks)
      let known = ledger.appointments
      #expect(Set(listed.map(\.id)) == Set(known.map(\.id)) && listed.count > 10)
      for appointment in listed {
        let history = try await clinic.history(of: appointment.id)
        #expect(history.map(\.sequence) == Array(1...Int64(history.count)))
        // A booking makes two entries, each change after it one.
        #expect(Int64(history.count) == appointment.version + 1)
        for old in known where old.id == appointment.id {
          #expect(old.version <= appointment.version)
          #expect(history.statuses.starts(with: old.statusHistory) && history.notes.starts(with: old.notesHistory))
          #expect(history.moves.starts(with: old.rescheduleHistory))
        }
      }
    }
  }

  /// What an appointment says about itself, in the words of the model.
  private static func booking(
    _ appointment: AppointmentV1.Appointment, _ slot: CalendarModel.Slot, _ history: [AppointmentV1.HistoryEntry]
  ) -> CalendarModel.Booking {
    var slot = slot
    let minutes = minute(appointment.startTime)..<minute(appointment.endTime)
    if minutes != CalendarModel.minutes(slot) || appointment.date != Clinic.date(slot.day) { slot.day = -1 }
    return CalendarModel.Booking(
      slot: slot, status: appointment.status, notes: appointment.notes ?? "", version: appointment.version,
      history: history.map { entry in
        switch entry.change {
        case .statusChange(let change): CalendarModel.name(change.status)
        case .notesChange(let change): "notes: \(change.notes)"
        case .rescheduleChange(let change):
          "\(range(change.oldStartTime, change.oldDuration)) to \(range(change.newStartTime, change.newDuration))"
        case nil: "nothing"
        }
      })
  }

  private static func range(_ start: GoogleProtobuf.Timestamp?, _ duration: Int32) -> Range<Int> {
    minute(start)..<(minute(start) + Int(duration))
  }

  /// Minutes since 2025-12-10, 00:00 UTC.
  private static func minute(_ time: GoogleProtobuf.Timestamp?) -> Int {
    Int((time?.seconds ?? 0) - 1_765_324_800) / 60
  }

  private static func step(_ operation: CalendarOperation, _ clinic: Clinic, _ ledger: Ledger) async {
    let (ids, blocks) = ledger.names
    let result = await Result { try await clinic.perform(operation, on: ids, blocks: blocks) }
    if let answer = result.success.flatMap(\.self) { ledger.note(answer, of: operation) }
    let reason = result.failureStatus?.reason
    let legal: [String?] = [
      nil, "SLOT_CONFLICT", "BLOCK_CONFLICTS_WITH_APPOINTMENTS", "INVALID_STATUS_TRANSITION", "TIME_BLOCK_NOT_FOUND",
    ]
    #expect(legal.contains(reason), "\(String(describing: result.failureStatus))")
  }

  private static func expectNoMinuteTwice(
    _ appointments: [AppointmentV1.Appointment], blocks: [CalendarModel.Block]
  ) throws {
    var owners: [Int: String] = [:]
    for appointment in appointments where appointment.status != .cancelled {
      for minute in minute(appointment.startTime)..<minute(appointment.endTime) {
        #expect(owners.updateValue(appointment.id, forKey: minute) == nil, "\(appointment.id) at \(minute)")
        #expect(!blocks.contains { CalendarModel.covers($0, minute) }, "\(appointment.id) at \(minute) is blocked")
      }
    }
  }
}

/// What concurrent callers were told.
private final class Ledger: Sendable {
  private struct State {
    var appointments: [AppointmentV1.Appointment] = []
    var rules: [String: (version: Int64, block: CalendarModel.Block)] = [:]
    var deleted: Set<String> = []
  }
  private let state = Mutex(State())

  var appointments: [AppointmentV1.Appointment] { state.withLock { $0.appointments } }
  var blocks: [CalendarModel.Block] { state.withLock { state in live(state).map(\.value.block) } }
  var names: ([String], [String]) {
    state.withLock { state in (state.appointments.map(\.id), live(state).map(\.key).sorted()) }
  }

  private func live(_ state: State) -> [String: (version: Int64, block: CalendarModel.Block)] {
    state.rules.filter { !state.deleted.contains($0.key) }
  }

  func note(_ answer: Clinic.Answer, of operation: CalendarOperation) {
    state.withLock { state in
      state.appointments += answer.appointments
      if let id = answer.deletedBlock { state.deleted.insert(id) }
      guard let message = answer.block, message.version > state.rules[message.id]?.version ?? 0 else { return }
      switch operation {
      case .block(let block):
        state.rules[message.id] = (message.version, block)
      case .moveBlock(_, let start, let end):
        guard var block = state.rules[message.id]?.block else { return }
        (block.start, block.end) = (start, end)
        state.rules[message.id] = (message.version, block)
      default: return
      }
    }
  }
}

extension [AppointmentV1.HistoryEntry] {
  fileprivate var statuses: [AppointmentV1.StatusChange] {
    compactMap { if case .statusChange(let change) = $0.change { change } else { nil } }
  }
  fileprivate var notes: [AppointmentV1.NotesChange] {
    compactMap { if case .notesChange(let change) = $0.change { change } else { nil } }
  }
  fileprivate var moves: [AppointmentV1.RescheduleChange] {
    compactMap { if case .rescheduleChange(let change) = $0.change { change } else { nil } }
  }
}
