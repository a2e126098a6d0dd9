import Contract
import RPC
import Testing

@testable import AppointmentService

@Suite("DOMAIN 4, atomicity: blocks and bookings serialize on the clinician")
struct TimeBlockConcurrencyTests {
  @Test("of a block and a booking of the same time exactly one wins", arguments: 0..<30)
  func race(round: Int) async throws {
    let clinic = Clinic()
    async let booking = Result { try await clinic.create(clinic.appointment("2025-12-10", "12:30")).version }
    async let blocking = Result {
      try await clinic.createBlock(clinic.block { $0.recur(.daily) }).timeBlock?.version ?? 0
    }
    let results = await [booking, blocking]
    #expect(results.compactMap(\.success) == [1])
    let reasons = results.compactMap { $0.failureStatus?.reason }
    #expect(reasons == ["SLOT_CONFLICT"] || reasons == ["BLOCK_CONFLICTS_WITH_APPOINTMENTS"])
  }

  @Test("twenty bookings against twenty blocks: nothing that was booked is blocked", arguments: 0..<10)
  func many(round: Int) async throws {
    let clinic = Clinic(attempts: 200)
    let wins = await withTaskGroup(of: (Bool, Int)?.self) { group in
      for index in 0..<20 {
        let time = CivilTimeText.of(minutes: 480 + index * 15)
        let end = CivilTimeText.of(minutes: 495 + index * 15)
        group.addTask {
          let result = await Result {
            try await clinic.create(clinic.appointment("2025-12-10", time, duration: 15)).version
          }
          return result.success == nil ? nil : (true, index)
        }
        group.addTask {
          let result = await Result {
            try await clinic.createBlock(clinic.block("2025-12-10", time, end)).affectedAppointmentCount
          }
          return result.success == nil ? nil : (false, index)
        }
      }
      return await group.reduce(into: [(Bool, Int)]()) { if let win = $1 { $0.append(win) } }
    }
    // Each quarter of an hour went to exactly one of the two.
    #expect(wins.map(\.1).sorted() == Array(0..<20))
    let head = try await clinic.handlers.store.scheduleHead(of: Clinic.clinician)
    #expect(head.blockCount == Int64(wins.filter { !$0.0 }.count) && head.version == 20)
    #expect(try await clinic.findings() == [])
  }
}
