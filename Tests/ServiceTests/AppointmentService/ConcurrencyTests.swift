import Contract
import RPC
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
}
