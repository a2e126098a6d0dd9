import Contract
import RPC
import Synchronization
import Testing

@testable import AppointmentService

@Suite("DOMAIN 4: atomicity")
struct ConcurrencyTests {
  @Test("of 50 bookings of one slot exactly one wins, the others see SLOT_CONFLICT", arguments: 0..<20)
  func race(round: Int) async throws {
    let clinic = Clinic()
    let results = await withTaskGroup(of: Result<AppointmentV1.Appointment, any Error>.self) { group in
      for index in 0..<50 {
        group.addTask {
          await Result {
            // Overlapping, not equal.
            try await clinic.create(clinic.appointment("2025-12-10", CivilTimeText.of(minutes: 840 + index % 30)))
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(results.compactMap(\.success).count == 1)
    #expect(results.compactMap { $0.failureStatus?.reason } == Array(repeating: "SLOT_CONFLICT", count: 49))
    #expect(try await clinic.findings() == [])
  }

  @Test("50 bookings of different slots all succeed, although one calendar takes them one by one")
  func contention() async throws {
    let clinic = Clinic()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<50 {
        group.addTask {
          try await clinic.create(
            clinic.appointment("2025-12-10", CivilTimeText.of(minutes: index * 15), duration: 15))
        }
      }
      try await group.waitForAll()
    }
    #expect(try await clinic.items().filter { $0["patientId"] != nil }.count == 50)
    #expect(try await clinic.findings() == [])
  }

  @Test("no mix of booking, cancelling and reinstating leaves an overlap or a wrong schedule", arguments: 0..<12)
  func mix(seed: UInt64) async throws {
    let clinic = Clinic(attempts: 200)
    let known = KnownIDs()
    await withTaskGroup(of: Void.self) { group in
      for worker in 0..<6 {
        group.addTask {
          var random = SeededGenerator(seed: seed * 100 + UInt64(worker))
          for _ in 0..<25 { await step(clinic, known, &random) }
        }
      }
    }
    let items = try await clinic.items()
    #expect(try await clinic.findings() == [])
    #expect(items.contains { $0["patientId"] != nil })
  }

  /// One random operation; refusals by the rules are part of the game, other failures are not.
  private func step(_ clinic: Clinic, _ known: KnownIDs, _ random: inout SeededGenerator) async {
    // Two days around a UTC midnight and Toronto's change of clocks.
    let date = ["2026-03-07", "2026-03-08"].randomElement(using: &random) ?? "2026-03-08"
    let time = CivilTimeText.of(minutes: Int.random(in: 0..<1440, using: &random))
    let duration = Int32.random(in: 1...12, using: &random) * 15
    let choice = Int.random(in: 0..<10, using: &random)
    let id = known.random(&random)
    let result: Result<Void, any Error> = await Result {
      switch (choice, id) {
      case (0..<5, _), (_, nil):
        known.add(try await clinic.create(clinic.appointment(date, time, duration: duration)).id)
      case (5..<7, let id?): try await clinic.change(id, to: .cancelled, reason: "r")
      case (7..<9, let id?): try await clinic.change(id, to: .scheduled)
      case (_, let id?): try await clinic.change(id, to: .completed)
      }
    }
    if let status = result.failureStatus {
      #expect(
        ["SLOT_CONFLICT", "INVALID_STATUS_TRANSITION"].contains(status.reason)
          || status.fields == ["appointment.time NONEXISTENT_LOCAL_TIME"], "\(status)")
    }
  }

  private final class KnownIDs: Sendable {
    private let ids = Mutex<[String]>([])
    func add(_ id: String) { ids.withLock { $0.append(id) } }
    func random(_ random: inout SeededGenerator) -> String? {
      ids.withLock { ids in ids.randomElement(using: &random) }
    }
  }
}
