internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// Changes notes, type or the linked transcription (DOMAIN 4); works while the patient service is down.
  func updateAppointment(
    _ request: AppointmentV1.UpdateAppointmentRequest, context: ServerContext
  ) async throws -> AppointmentV1.UpdateAppointmentResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let message = request.appointment ?? AppointmentV1.Appointment()
    if request.appointment == nil { violations.add(.required, at: "appointment", "An appointment is required.") }
    let id = request.appointment == nil ? nil : violations.id(message.id, at: "appointment.id")
    let patch = DetailsPatch(message, mask: request.updateMask?.paths, &violations)
    try violations.check(errors: errors)
    guard let id = id?.description else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical)
    let record = try await mutations.run(call.key, field: "appointment", context: context) { record in
      try await replayed(record, in: scope)
    } decide: { _, now in
      guard let record = try await store.appointment(id, clinician: scope.userId) else {
        throw AppointmentError.appointmentNotFound(id: id)
      }
      try patch.checkImmutable(record, errors: errors)
      try record.etag.check(request.etag, errors: errors)
      let changed = record.changing(patch.applied(to: record.details), by: scope.actor, at: now)
      if changed.version == record.version { return Mutations.Decision(resources: [id], output: record) }
      if changed.transcriptionID != record.transcriptionID {
        try await checkLink(of: record, to: changed.transcriptionID)
      }
      let links = store.relinking(from: record.transcriptionID, to: changed.transcriptionID, of: record)
      return Mutations.Decision(writes: store.change(of: changed) + links, resources: [id], output: changed)
    }
    var response = AppointmentV1.UpdateAppointmentResponse()
    response.appointment = AppointmentV1.Appointment(record)
    return response
  }

  /// Transcriptions are linked and unlinked in any status but cancelled, each to one appointment at most (DOMAIN 4).
  private func checkLink(of record: AppointmentRecord, to transcription: String?) async throws {
    if record.status == .cancelled {
      throw AppointmentError.statusForbids(
        .cancelled, allowed: AppointmentStatus.allCases.filter { $0 != .cancelled })
    }
    if let transcription, try await store.isLinked(transcription: transcription) {
      throw AppointmentError.transcriptionAlreadyLinked
    }
  }
}

/// New values for some of an appointment's details.
private struct DetailsPatch {
  /// `.some(nil)` clears.
  private var notes: String??
  private var type: AppointmentType?
  private var transcriptionID: String??
  /// What the mask names as patient; it must be the present one.
  private var patient: String?

  /// - Parameter mask: `nil` or empty: all changeable fields that are populated.
  init(_ message: AppointmentV1.Appointment, mask: [String]?, _ violations: inout FieldViolations) {
    var paths: Set<String> = []
    if let mask, !mask.isEmpty {
      for (index, path) in mask.enumerated() {
        if Self.changeable.contains(path) || path == "patient_id" {
          paths.insert(path)
        } else if AppointmentPaths.all.contains(path) {
          violations.add(.notUpdatable, at: "update_mask.paths[\(index)]", "Another method changes this field.")
        } else {
          violations.add(.unknownField, at: "update_mask.paths[\(index)]", "An appointment has no such field.")
        }
      }
    } else {
      if message.notes != nil { paths.insert("notes") }
      if message.type != .unspecified { paths.insert("type") }
      if message.transcriptionId != nil { paths.insert("transcription_id") }
      if paths.isEmpty { violations.add(.required, at: "update_mask", "At least one field has to be named.") }
    }
    if paths.contains("notes") {
      notes = .some(nil)
      if let text = message.notes, let clean = violations.text(text, .notes, at: "appointment.notes") {
        notes = .some(clean.isEmpty ? nil : clean)
      }
    }
    if paths.contains("type") { type = violations.appointmentType(message.type, at: "appointment.type") }
    if paths.contains("transcription_id") {
      transcriptionID = .some(
        violations.transcriptionID(message.transcriptionId, at: "appointment.transcription_id"))
    }
    if paths.contains("patient_id") {
      patient = violations.id(message.patientId, at: "appointment.patient_id")?.description
    }
  }

  private static let changeable: Set<String> = ["notes", "type", "transcription_id"]

  func checkImmutable(_ record: AppointmentRecord, errors: ServiceErrors) throws {
    guard let patient, patient != record.patient else { return }
    var violations = FieldViolations()
    violations.add(.immutable, at: "appointment.patient_id", "An appointment's patient does not change.")
    throw violations.error(errors: errors)
  }

  func applied(to details: AppointmentDetails) -> AppointmentDetails {
    var details = details
    if let notes { details.notes = notes }
    if let type { details.type = type }
    if let transcriptionID { details.transcriptionID = transcriptionID }
    return details
  }
}
