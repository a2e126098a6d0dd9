import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("UpdateAppointment (DOMAIN 4)")
struct UpdateAppointmentTests {
  private func update(
    _ clinic: Clinic, _ id: String, mask: [String]? = nil, _ change: (inout AppointmentV1.Appointment) -> Void
  ) async throws -> AppointmentV1.Appointment {
    var request = AppointmentV1.UpdateAppointmentRequest()
    var appointment = AppointmentV1.Appointment()
    appointment.id = id
    change(&appointment)
    request.appointment = appointment
    if let mask {
      var fieldMask = GoogleProtobuf.FieldMask()
      fieldMask.paths = mask
      request.updateMask = fieldMask
    }
    return try await clinic.handlers.updateAppointment(request, context: clinic.context()).appointment ?? .init()
  }

  @Test("each changed value of the notes is remembered, clearing too; the same value is no change")
  func notes() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    try #expect(await update(clinic, id) { $0.notes = "one" }.version == 2)
    try #expect(await update(clinic, id) { $0.notes = "one" }.version == 2)
    let cleared = try await update(clinic, id, mask: ["notes"]) { _ in }
    #expect(cleared.notes == nil && cleared.version == 3 && cleared.notesHistory.map(\.notes) == ["one", ""])
  }

  @Test("a new type leaves the duration")
  func type() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    let changed = try await update(clinic, id) { $0.type = .procedure }
    #expect(changed.type == .procedure && changed.duration == 30)
  }

  @Test("a transcription is linked, moved and unlinked, but not of a cancelled appointment")
  func transcription() async throws {
    let clinic = Clinic()
    let first = try await clinic.create(clinic.appointment()).id
    let second = try await clinic.create(clinic.appointment("2025-12-11")).id
    _ = try await update(clinic, first) { $0.transcriptionId = "t1" }
    let linked = try await failure { try await update(clinic, second) { $0.transcriptionId = "t1" } }
    #expect(linked.code == .alreadyExists && linked.reason == "TRANSCRIPTION_ALREADY_LINKED")
    #expect(try await update(clinic, first, mask: ["transcription_id"]) { _ in }.transcriptionId == nil)
    #expect(try await update(clinic, second) { $0.transcriptionId = "t1" }.transcriptionId == "t1")
    #expect(try await update(clinic, second) { $0.transcriptionId = "t2" }.transcriptionId == "t2")
    #expect(try await clinic.findings() == [])
    try await clinic.change(second, to: .cancelled, reason: "r")
    let state = try await failure { try await update(clinic, second) { $0.transcriptionId = "t3" } }
    #expect(state.reason == "INVALID_STATUS_TRANSITION")
  }

  @Test("masks that name what is not to be changed are refused")
  func masks() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    let error = try await failure { try await update(clinic, id, mask: ["status", "colour", "*", "notes"]) { _ in } }
    #expect(
      error.fields == [
        "update_mask.paths[0] FIELD_NOT_UPDATABLE", "update_mask.paths[1] UNKNOWN_FIELD",
        "update_mask.paths[2] UNKNOWN_FIELD",
      ])
    #expect(try await failure { try await update(clinic, id) { _ in } }.fields == ["update_mask REQUIRED"])
    let patient = try await failure {
      try await update(clinic, id, mask: ["patient_id"]) { $0.patientId = "22222222-2222-4222-8222-222222222222" }
    }
    #expect(patient.fields == ["appointment.patient_id FIELD_IMMUTABLE"])
  }

  @Test("large notes do not make an appointment unwritable (DOMAIN 8)")
  func largeNotes() async throws {
    let clinic = Clinic()
    let id = try await clinic.create(clinic.appointment()).id
    for index in 0..<12 {
      _ = try await update(clinic, id) { $0.notes = String(repeating: "𝄞", count: 9_990) + "\(index)" }
    }
    let items = try await clinic.items()
    let item = try #require(items.first { $0["patientId"] != nil })
    #expect(item.byteCount < 400 * 1024)
    #expect(try await clinic.findings() == [])
  }
}
