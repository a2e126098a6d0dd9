import Contract
import Identity
import RPC
import ServiceTestSupport
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("WatchAppointments (DOMAIN 11)", .timeLimit(.minutes(5)))
struct WatchAppointmentsTests {
  private typealias Watching = Task<Void, any Error>
  private let clinic = Clinic()

  private func watch(
    _ sink: any MessageSink, as principal: Principal? = nil,
    _ edit: (inout AppointmentV1.WatchAppointmentsRequest) -> Void = { _ in }
  ) -> Watching {
    var request = AppointmentV1.WatchAppointmentsRequest()
    edit(&request)
    let context = principal.map { clinic.context($0) } ?? clinic.context()
    return Task { [clinic, request] in
      try await clinic.handlers.watchAppointments(request, response: ResponseWriter(sink: sink), context: context)
    }
  }

  /// What a watch tells of what happens during `body`, until there are `count` changes.
  private func changes(
    _ count: Int, types: [AppointmentV1.ResourceType] = [], _ body: () async throws -> Void
  ) async throws -> [AppointmentV1.ChangeEvent] {
    let capture = ResponseCapture<AppointmentV1.WatchAppointmentsResponse>()
    let watching = watch(capture) { $0.resourceTypes = types }
    defer { watching.cancel() }
    _ = try await capture.next(1)
    try await body()
    var changes: [AppointmentV1.ChangeEvent] = []
    while changes.count < count { changes += try await capture.next(1).flatMap(\.changes) }
    return changes
  }

  private func refusal(
    as principal: Principal? = nil, _ edit: (inout AppointmentV1.WatchAppointmentsRequest) -> Void
  ) async throws -> RPCError {
    try await failure { try await watch(NoResponse(), as: principal, edit).value }
  }

  @Test("bookings, moves, statuses and notes are one change each, and tell which fields changed")
  func appointments() async throws {
    var id = ""
    let changes = try await changes(4) {
      id = try await clinic.create(clinic.appointment(), requestID: "0e0f2d66-2b53-4d4d-9f4b-3a0a0b0c0d0e").id
      var move = AppointmentV1.RescheduleAppointmentRequest()
      (move.appointmentId, move.date, move.time) = (id, "2025-12-11", "14:00")
      _ = try await clinic.handlers.rescheduleAppointment(move, context: clinic.context())
      var notes = AppointmentV1.UpdateAppointmentRequest()
      notes.appointment = AppointmentV1.Appointment()
      notes.appointment?.id = id
      notes.appointment?.notes = "sleeps well"
      notes.updateMask = GoogleProtobuf.FieldMask(paths: ["notes"])
      _ = try await clinic.handlers.updateAppointment(notes, context: clinic.context())
      try await clinic.change(id, to: .cancelled, reason: "ill")
    }
    #expect(changes.map(\.resourceId) == [id, id, id, id])
    #expect(changes.map(\.version) == [1, 2, 3, 4])
    #expect(changes.map(\.operation) == [.created, .updated, .updated, .updated])
    #expect(
      changes.map(\.changedPaths) == [
        [], ["date", "end_time", "reschedule_history", "start_time"], ["notes", "notes_history"],
        ["cancellation_reason", "cancelled_at", "cancelled_by", "status", "status_history"],
      ])
    #expect(changes.allSatisfy { $0.resourceType == .appointment && $0.userId == Clinic.clinician })
  }

  @Test("a batch is one transaction with a change for each appointment, and nothing of the schedule beside them")
  func batch() async throws {
    let changes = try await changes(4) {
      var request = AppointmentV1.BatchCreateAppointmentsRequest()
      request.requests = (0..<3).map { hour in
        var create = AppointmentV1.CreateAppointmentRequest()
        create.appointment = clinic.appointment("2025-12-10", "1\(hour):00")
        return create
      }
      _ = try await clinic.handlers.batchCreateAppointments(request, context: clinic.context())
      try await clinic.create(clinic.appointment("2025-12-12"))
    }
    #expect(Set(changes.prefix(3).map(\.commitTime)).count == 1)
    #expect(Set(changes.map(\.resourceId)).count == 4)
    #expect(Set(changes.map(\.sequence)).count == 4)
    #expect(changes.map(\.sequence) == changes.map(\.sequence).sorted())
  }

  @Test("a time block's deletion is told with its last version; a caller may want one kind only")
  func timeBlocks() async throws {
    var id = ""
    let changes = try await changes(3, types: [.timeBlock]) {
      try await clinic.create(clinic.appointment())
      id = try await clinic.blockID(clinic.block())
      var block = clinic.block()
      (block.id, block.reason) = (id, "Long lunch")
      try await clinic.updateBlock(block, ["reason"])
      var request = AppointmentV1.DeleteTimeBlockRequest()
      request.timeBlockId = id
      _ = try await clinic.blocks.deleteTimeBlock(request, context: clinic.context())
    }
    #expect(changes.map(\.resourceId) == [id, id, id])
    #expect(changes.map(\.operation) == [.created, .updated, .deleted])
    #expect(changes.map(\.version) == [1, 2, 2])
    #expect(changes.map(\.changedPaths) == [[], ["reason"], []])
    #expect(changes.allSatisfy { $0.resourceType == .timeBlock })
  }

  @Test("who may watch, and what a request may say")
  func refused() async throws {
    let foreign = try await refusal { $0.userId = "clinician-2" }
    #expect(foreign.reason == "PARTITION_NOT_ALLOWED")
    let patient = try await refusal(as: Principal(id: "p", role: .patient)) { $0.userId = Clinic.clinician }
    #expect(patient.reason == "ROLE_NOT_ALLOWED")
    let fields = try await refusal {
      $0.heartbeatInterval = GoogleProtobuf.Duration(.zero)
      $0.resourceTypes = [.unspecified, .timeBlock, .init(rawValue: 9)]
    }
    #expect(
      fields.violations == [
        "heartbeat_interval OUT_OF_RANGE", "resource_types[0] OUT_OF_RANGE", "resource_types[2] OUT_OF_RANGE",
      ])
    let token = try await refusal { $0.resumeToken = "no token" }
    #expect(token.reason == "CHANGE_TOKEN_INVALID")
  }

  @Test("a token is bound to the kinds, in whatever order they are named")
  func boundToKinds() async throws {
    let capture = ResponseCapture<AppointmentV1.WatchAppointmentsResponse>()
    let first = watch(capture) { $0.resourceTypes = [.timeBlock, .appointment] }
    let token = try #require(try await capture.next(1).first).resumeToken
    first.cancel()
    let resumed = ResponseCapture<AppointmentV1.WatchAppointmentsResponse>()
    let second = watch(resumed) {
      $0.resourceTypes = [.appointment, .timeBlock, .appointment]
      $0.resumeToken = token
    }
    #expect(try await resumed.next(1).first?.caughtUp == true)
    second.cancel()
    let other = try await refusal {
      $0.resourceTypes = [.appointment]
      $0.resumeToken = token
    }
    #expect(other.reason == "CHANGE_TOKEN_INVALID")
  }
}
