import Contract
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

/// What DOMAIN 8 says of every mutation, said of each.
@Suite("DOMAIN 8: etag, request_id and version of every mutation")
struct EveryMutationTests {
  enum Mutation: String, CaseIterable, CustomTestStringConvertible {
    case createAppointment, batchCreate, updateAppointment, reschedule, updateStatus, createBlock, updateBlock,
      deleteBlock

    var testDescription: String { rawValue }

    /// Those of something that exists.
    static let changes: [Self] = [.updateAppointment, .reschedule, .updateStatus, .updateBlock, .deleteBlock]
  }

  static let requestID = "22222222-2222-4222-8222-222222222222"

  @Test("a stale etag is refused, tells the present one and changes nothing", arguments: Mutation.changes)
  func staleEtag(mutation: Mutation) async throws {
    let (clinic, ids) = try await prepared()
    let before = try await clinic.commits()
    let error = try await failure { try await perform(mutation, clinic, ids, etag: "\"7\"") }
    #expect(error.code == .aborted && error.reason == "ETAG_MISMATCH" && error.info["etag"] == "\"1\"")
    #expect(try await clinic.commits() == before)
  }

  @Test("the present etag is accepted, and the version grows by one", arguments: Mutation.changes)
  func presentEtag(mutation: Mutation) async throws {
    let (clinic, ids) = try await prepared()
    let version = try await perform(mutation, clinic, ids, etag: "\"1\"").version
    #expect(version == (mutation == .deleteBlock ? nil : 2))
  }

  @Test("a repeated request answers the same, says so, and has no second effect", arguments: Mutation.allCases)
  func replay(mutation: Mutation) async throws {
    let (clinic, ids) = try await prepared()
    let first = try await perform(mutation, clinic, ids, requestID: Self.requestID)
    #expect(first.context.trailingMetadata["idempotent-replayed"] == nil)
    let commits = try await clinic.commits()
    let second = try await perform(mutation, clinic, ids, requestID: Self.requestID)
    #expect(second.id == first.id && second.version == first.version)
    #expect(second.context.trailingMetadata["idempotent-replayed"] == "true")
    #expect(try await clinic.commits() == commits)
  }

  @Test("a request id is not used for another payload", arguments: Mutation.allCases)
  func reuse(mutation: Mutation) async throws {
    let (clinic, ids) = try await prepared()
    _ = try await perform(mutation, clinic, ids, requestID: Self.requestID)
    let error = try await failure {
      try await perform(mutation, clinic, ids, other: true, requestID: Self.requestID)
    }
    #expect(error.code == .invalidArgument && error.reason == "REQUEST_ID_REUSED")
  }

  // MARK: One call of each

  private struct Outcome {
    var id: String?
    var version: Int64?
    var context: ServerContext
  }

  /// A clinic with one appointment and one block of version 1.
  private func prepared() async throws -> (Clinic, ids: (appointment: String, block: String)) {
    let clinic = Clinic()
    let appointment = try await clinic.create(clinic.appointment()).id
    return (clinic, (appointment, try await clinic.blockID(clinic.block("2025-12-20"))))
  }

  /// - Parameter other: whether the payload differs from that of the other calls.
  private func perform(
    _ mutation: Mutation, _ clinic: Clinic, _ ids: (appointment: String, block: String), other: Bool = false,
    etag: String = "", requestID: String = ""
  ) async throws -> Outcome {
    let context = clinic.context(path: "/\(mutation.rawValue)")
    let (appointment, block) = try await message(mutation, clinic, ids, other, etag, requestID, context)
    return Outcome(
      id: appointment?.id ?? block?.id, version: appointment?.version ?? block?.version, context: context)
  }

  private func message(
    _ mutation: Mutation, _ clinic: Clinic, _ ids: (appointment: String, block: String), _ other: Bool, _ etag: String,
    _ requestID: String, _ context: ServerContext
  ) async throws -> (AppointmentV1.Appointment?, AppointmentV1.TimeBlock?) {
    switch mutation {
    case .createAppointment, .batchCreate:
      var create = AppointmentV1.CreateAppointmentRequest()
      create.appointment = clinic.appointment("2025-12-11", other ? "10:00" : "12:00")
      if mutation == .batchCreate {
        var request = AppointmentV1.BatchCreateAppointmentsRequest()
        (request.requests, request.requestId) = ([create], requestID)
        let answer = try await clinic.handlers.batchCreateAppointments(request, context: context)
        return (answer.appointments.first, nil)
      }
      create.requestId = requestID
      return (try await clinic.handlers.createAppointment(create, context: context).appointment, nil)
    case .updateAppointment:
      var request = AppointmentV1.UpdateAppointmentRequest()
      (request.etag, request.requestId) = (etag, requestID)
      var appointment = AppointmentV1.Appointment()
      (appointment.id, appointment.notes) = (ids.appointment, other ? "worse" : "better")
      request.appointment = appointment
      return (try await clinic.handlers.updateAppointment(request, context: context).appointment, nil)
    case .reschedule:
      var request = AppointmentV1.RescheduleAppointmentRequest()
      (request.appointmentId, request.etag, request.requestId) = (ids.appointment, etag, requestID)
      request.time = other ? "08:00" : "09:00"
      return (try await clinic.handlers.rescheduleAppointment(request, context: context).appointment, nil)
    case .updateStatus:
      var request = AppointmentV1.UpdateAppointmentStatusRequest()
      (request.appointmentId, request.etag, request.requestId) = (ids.appointment, etag, requestID)
      request.status = other ? .completed : .confirmed
      return (try await clinic.handlers.updateAppointmentStatus(request, context: context).appointment, nil)
    case .createBlock:
      var request = AppointmentV1.CreateTimeBlockRequest()
      request.timeBlock = clinic.block("2025-12-21", "12:00", other ? "13:30" : "13:00")
      request.requestId = requestID
      return (nil, try await clinic.blocks.createTimeBlock(request, context: context).timeBlock)
    case .updateBlock:
      var request = AppointmentV1.UpdateTimeBlockRequest()
      (request.etag, request.requestId) = (etag, requestID)
      var block = AppointmentV1.TimeBlock()
      (block.id, block.reason) = (ids.block, other ? "long lunch" : "short lunch")
      request.timeBlock = block
      return (nil, try await clinic.blocks.updateTimeBlock(request, context: context).timeBlock)
    case .deleteBlock:
      var request = AppointmentV1.DeleteTimeBlockRequest()
      (request.timeBlockId, request.etag, request.requestId) = (ids.block, etag, requestID)
      if other { request.userId = Clinic.clinician }
      _ = try await clinic.blocks.deleteTimeBlock(request, context: context)
      return (nil, nil)
    }
  }
}
