import Contract
import Identity
import Testing

@testable import AppointmentService

@Suite("ListAppointmentHistory (DOMAIN 4 and 7)")
struct ListAppointmentHistoryTests {
  private func page(
    _ clinic: Clinic, _ id: String, as principal: Principal? = nil,
    _ adjust: (inout AppointmentV1.ListAppointmentHistoryRequest) -> Void = { _ in }
  ) async throws -> AppointmentV1.ListAppointmentHistoryResponse {
    var request = AppointmentV1.ListAppointmentHistoryRequest()
    request.appointmentId = id
    adjust(&request)
    let context = principal.map { clinic.context($0) } ?? clinic.context()
    return try await clinic.handlers.listAppointmentHistory(request, context: context)
  }

  private func walk(
    _ clinic: Clinic, _ id: String, size: Int32,
    _ adjust: (inout AppointmentV1.ListAppointmentHistoryRequest) -> Void = { _ in },
    between: () async throws -> Void = {}
  ) async throws -> [AppointmentV1.HistoryEntry] {
    var all: [AppointmentV1.HistoryEntry] = []
    var token = ""
    repeat {
      let page = try await page(clinic, id) {
        adjust(&$0)
        ($0.pageSize, $0.pageToken) = (size, token)
      }
      #expect(page.entries.count <= size)
      all += page.entries
      token = page.nextPageToken
      try await between()
    } while !token.isEmpty
    return all
  }

  private func note(_ clinic: Clinic, _ id: String, _ notes: String) async throws {
    var request = AppointmentV1.UpdateAppointmentRequest()
    var appointment = AppointmentV1.Appointment()
    (appointment.id, appointment.notes) = (id, notes)
    request.appointment = appointment
    _ = try await clinic.handlers.updateAppointment(request, context: clinic.context())
  }

  /// An appointment with 143 entries, most of which are items of their own: status 1, 5, 7, 9…; notes 2, 3, 6, 8, …;
  /// a reschedule as number 4.
  private func busy() async throws -> (Clinic, String) {
    let clinic = Clinic()
    var asked = clinic.appointment()
    asked.notes = "2"
    let id = try await clinic.create(asked).id
    try await note(clinic, id, "3")
    var move = AppointmentV1.RescheduleAppointmentRequest()
    (move.appointmentId, move.time) = (id, "15:00")
    _ = try await clinic.handlers.rescheduleAppointment(move, context: clinic.context())
    for sequence in 5...143 {
      if sequence.isMultiple(of: 2) {
        try await note(clinic, id, "\(sequence)")
      } else {
        try await clinic.change(id, to: sequence % 4 == 1 ? .confirmed : .scheduled)
      }
    }
    return (clinic, id)
  }

  /// What happened, told by the entry alone.
  private func told(_ entry: AppointmentV1.HistoryEntry) -> String {
    switch entry.change {
    case .statusChange(let change): "\(entry.sequence) \(change.status.rawValue)"
    case .notesChange(let change): "\(entry.sequence) \(change.notes)"
    case .rescheduleChange(let change): "\(entry.sequence) +\(change.newDuration)"
    case nil: "nothing"
    }
  }

  private static let story: [String] =
    ["1 1", "2 2", "3 3", "4 +30"]
    + (5...143).map { $0.isMultiple(of: 2) ? "\($0) \($0)" : "\($0) \($0 % 4 == 1 ? 2 : 1)" }

  @Test("all entries, inline or not, come in order and once, both directions", arguments: [1, 7, 50, 142, 143, 200])
  func order(size: Int32) async throws {
    let (clinic, id) = try await busy()
    #expect(try await walk(clinic, id, size: size).map(told) == Self.story)
    #expect(try await walk(clinic, id, size: size) { $0.order = .descending }.map(told) == Self.story.reversed())
  }

  @Test("kinds are alternatives; unspecified and unknown ones are refused")
  func kinds() async throws {
    let (clinic, id) = try await busy()
    #expect(try await walk(clinic, id, size: 9) { $0.kinds = [.reschedule] }.map(\.sequence) == [4])
    let two = try await walk(clinic, id, size: 9) { $0.kinds = [.status, .reschedule] }.map(\.sequence)
    #expect(two == [1, 4] + Array(stride(from: 5, through: 143, by: 2)))
    let error = try await failure { try await page(clinic, id) { $0.kinds = [.unspecified, .init(rawValue: 9)] } }
    #expect(error.fields == ["kinds[0] REQUIRED", "kinds[1] OUT_OF_RANGE"])
  }

  @Test("what happens while the pages are read neither repeats nor hides an entry", arguments: [1, 10])
  func growing(size: Int32) async throws {
    let (clinic, id) = try await busy()
    var writes = 0
    func write() async throws {
      writes += 1
      if writes <= 20 { try await note(clinic, id, "more \(writes)") }
    }
    let up = try await walk(clinic, id, size: size, between: write)
    #expect(up.map(\.sequence).starts(with: 1...143) && up.map(\.sequence) == Array(1...Int64(up.count)))
    writes = 0
    let down = try await walk(clinic, id, size: size, { $0.order = .descending }, between: write)
    #expect(down.map(\.sequence) == Array((1...Int64(down.count)).reversed()))
  }

  @Test("a page of long notes ends early")
  func boundedBytes() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    for number in 0..<40 { try await note(clinic, id, "\(number)" + String(repeating: "\u{1F600}", count: 9_990)) }
    let first = try await page(clinic, id) { $0.pageSize = 200 }
    #expect((20..<35).contains(first.entries.count) && !first.nextPageToken.isEmpty)
    #expect(try await walk(clinic, id, size: 200).map(\.sequence) == Array(1...41))
  }

  @Test("a token is bound to caller, appointment, kinds and order")
  func tokens() async throws {
    let (clinic, id) = try await busy()
    let second = try await clinic.create(clinic.appointment("2025-12-11")).id
    let token = try await page(clinic, id) { $0.pageSize = 2 }.nextPageToken
    let misuses: [(Principal?, (inout AppointmentV1.ListAppointmentHistoryRequest) -> Void)] = [
      (Clinic.other, { _ in }), (Clinic.delegate, { $0.userId = Clinic.clinician }),
      (nil, { $0.appointmentId = second }),
      (nil, { $0.kinds = [.notes] }), (nil, { $0.order = .descending }),
    ]
    for (principal, misuse) in misuses {
      let error = try await failure {
        try await page(clinic, id, as: principal) {
          $0.pageToken = token
          misuse(&$0)
        }
      }
      #expect(error.fields == ["page_token PAGE_TOKEN_INVALID"])
    }
  }

  @Test("DOMAIN 1: a foreign appointment is like none, and patients may not ask")
  func scope() async throws {
    let (clinic, id) = try await busy()
    #expect(try await failure { try await page(clinic, id, as: Clinic.other) }.reason == "APPOINTMENT_NOT_FOUND")
    let patient = Principal(id: "cognito-1", role: .patient)
    let refused = try await failure { try await page(clinic, id, as: patient) { $0.userId = Clinic.clinician } }
    #expect(refused.reason == "ROLE_NOT_ALLOWED")
  }
}
