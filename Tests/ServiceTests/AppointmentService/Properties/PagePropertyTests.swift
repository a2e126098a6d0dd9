import Contract
import TestSupport
import Testing

@testable import AppointmentService

/// Keyset pages while others write (DOMAIN 7): what stays where it is, is seen exactly once.
@Suite("DOMAIN 7: pages under concurrent writers", .serialized)
struct PagePropertyTests {
  @Test(
    "what keeps its place is listed once, in both directions", arguments: 1...4 as ClosedRange<UInt64>,
    ClinicEngine.allCases)
  func appointments(seed: UInt64, engine: ClinicEngine) async throws {
    try await engine.withClinic { clinic in
      // Those that stay begin at full hours, those that come, go and move at half hours.
      var kept: [String] = []
      for hour in 0..<48 { kept.append(try await clinic.create(Self.slot(clinic, 60 * hour)).id) }
      let expected = Set(kept)
      let size = Int32(1 + seed % 7)
      try await whileWriting(seed: seed) { random in
        await Self.disturb(clinic, &random)
      } read: {
        for order in [AppointmentV1.SortOrder.ascending, .descending] {
          let seen = try await clinic.walk(size: size) { $0.order = order }
          let keys = seen.map { "\($0.date)T\($0.time)#\($0.id)" }
          #expect(keys == (order == .ascending ? keys.sorted() : keys.sorted(by: >)) && Set(keys).count == keys.count)
          #expect(seen.map(\.id).filter(expected.contains) == (order == .ascending ? kept : kept.reversed()))
        }
      }
    }
  }

  @Test("an entry of a history is listed once while the history grows", arguments: ClinicEngine.allCases)
  func history(engine: ClinicEngine) async throws {
    try await engine.withClinic { clinic in
      let id = try await clinic.create(clinic.appointment()).id
      for number in 0..<60 { _ = try await clinic.note(id, "old \(number)") }
      try await whileWriting(seed: 1) { random in
        _ = try? await clinic.note(id, "new \(random.next())")
      } read: {
        let seen = try await clinic.history(of: id, size: 7)
        #expect(seen.count > 60 && seen.map(\.sequence) == Array(1...Int64(seen.count)))
      }
    }
  }

  private static func slot(_ clinic: Clinic, _ minute: Int) -> AppointmentV1.Appointment {
    clinic.appointment(Clinic.date(minute / 1440), CivilTimeText.of(minutes: minute % 1440), duration: 15)
  }

  /// Books, moves or cancels something at a half hour.
  private static func disturb(_ clinic: Clinic, _ random: inout SeededGenerator) async {
    func minute() -> Int { 60 * Int.random(in: 0..<48, using: &random) + 30 }
    let (first, second) = (minute(), minute())
    guard let made = try? await clinic.create(slot(clinic, first)) else { return }
    var request = AppointmentV1.RescheduleAppointmentRequest()
    request.appointmentId = made.id
    (request.date, request.time) = (Clinic.date(second / 1440), CivilTimeText.of(minutes: second % 1440))
    _ = try? await clinic.handlers.rescheduleAppointment(request, context: clinic.context())
    _ = try? await clinic.change(made.id, to: .cancelled, reason: "gone")
  }

  /// Reads three times while four writers repeat `write`.
  private func whileWriting(
    seed: UInt64, _ write: @escaping @Sendable (inout SeededGenerator) async -> Void, read: () async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<4 as Range<UInt64> {
        group.addTask {
          var random = SeededGenerator(seed: seed * 10 + writer)
          while !Task.isCancelled { await write(&random) }
        }
      }
      defer { group.cancelAll() }
      for _ in 0..<3 { try await read() }
    }
  }
}
