import Contract
import RPC
import Testing

@testable import AppointmentService

@Suite("DOMAIN 4: the state machine")
struct StatusMachineTests {
  /// The table of DOMAIN 4 as it stands there: rows from, columns to.
  static let table: [(AppointmentStatus, String)] = [
    (.scheduled, "- y y R y"), (.confirmed, "y - y R y"), (.completed, "x x - x R"), (.noShow, "x x R x -"),
    (.cancelled, "C x x - x"),
  ]
  static let columns: [AppointmentStatus] = [.scheduled, .confirmed, .completed, .cancelled, .noShow]

  @Test("the rule of every pair is the table's", arguments: table)
  func pairs(from: AppointmentStatus, row: String) {
    let rules: [Substring: StatusTransition] = [
      "-": .refused, "x": .refused, "y": .allowed, "R": .allowedWithReason, "C": .reinstates,
    ]
    for (to, cell) in zip(Self.columns, row.split(separator: " ")) {
      #expect(from.transition(to: to) == rules[cell], "\(from) to \(to)")
    }
  }

  /// How to bring a new appointment into a status.
  static let way: [AppointmentStatus: [(AppointmentV1.AppointmentStatus, String)]] = [
    .scheduled: [], .confirmed: [(.confirmed, "")], .completed: [(.completed, "")],
    .cancelled: [(.cancelled, "ill")], .noShow: [(.noShow, "")],
  ]

  @Test("UpdateAppointmentStatus does what the table says, with a reason", arguments: table)
  func applied(from: AppointmentStatus, row: String) async throws {
    for (to, cell) in zip(Self.columns, row.split(separator: " ")) {
      let clinic = Clinic()
      let id = try await booked(in: from, clinic)
      let before = try await clinic.get(id).appointment
      if "-x".contains(cell) {
        let error = try await failure { try await clinic.change(id, to: to.message, reason: "because") }
        #expect(error.code == .failedPrecondition && error.reason == "INVALID_STATUS_TRANSITION")
        #expect(error.info["from"] == from.wireName && error.info["to"] == to.wireName)
        #expect(error.info["allowed"] == allowed(row))
        #expect(try await clinic.get(id).appointment == before)
      } else {
        let changed = try await clinic.change(id, to: to.message, reason: "because")
        #expect(changed.status == to.message)
        #expect(changed.version == (before?.version ?? 0) + 1)
        #expect(changed.statusHistory.last?.status == to.message && changed.statusHistory.last?.reason == "because")
        #expect(changed.statusHistory.dropLast() == before?.statusHistory[...])
        #expect(try await clinic.get(id).appointment == changed)
      }
      #expect(try await clinic.findings() == [])
    }
  }

  @Test("a reason is required exactly where the table has an R", arguments: table)
  func reasons(from: AppointmentStatus, row: String) async throws {
    for (to, cell) in zip(Self.columns, row.split(separator: " ")) where cell == "R" || cell == "y" || cell == "C" {
      let clinic = Clinic()
      let id = try await booked(in: from, clinic)
      if cell == "R" {
        let error = try await failure { try await clinic.change(id, to: to.message, reason: "  \n ") }
        #expect(error.code == .invalidArgument && error.reason == "VALIDATION_FAILED")
        #expect(error.fields == ["reason REQUIRED"])
      } else {
        #expect(try await clinic.change(id, to: to.message).statusHistory.last?.reason == nil)
      }
    }
  }

  private func booked(in status: AppointmentStatus, _ clinic: Clinic) async throws -> String {
    let id = try await clinic.create(clinic.appointment()).id
    for (next, reason) in try #require(Self.way[status]) { try await clinic.change(id, to: next, reason: reason) }
    return id
  }

  private func allowed(_ row: String) -> String {
    zip(Self.columns, row.split(separator: " ")).filter { !"-x".contains($1) }.map(\.0.wireName)
      .joined(separator: ",")
  }
}
