internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// Books a range of a clinician's time for a patient (DOMAIN 4); checks in the order of DOMAIN 8.
  func createAppointment(
    _ request: AppointmentV1.CreateAppointmentRequest, context: ServerContext
  ) async throws -> AppointmentV1.CreateAppointmentResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let path = FieldPath("appointment")
    let draft = try BookingDraft(
      request.appointment, at: path, zones: zones,
      violations: &violations)
    try violations.check(errors: errors)
    guard let draft else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(
      context, principal, scope, requestID: request.validateOnly ? nil : requestID, canonicalRequest: canonical)
    let record = try await book(
      draft, at: path, allowingPast: request.allowPast, writing: !request.validateOnly, call)

    var response = AppointmentV1.CreateAppointmentResponse()
    var message = AppointmentV1.Appointment(record)
    if request.validateOnly {
      message.id = ""
      message.version = 0
      message.etag = ""
    }
    response.appointment = message
    return response
  }

  private func book(
    _ draft: BookingDraft, at path: FieldPath, allowingPast: Bool, writing: Bool, _ call: MutationCall
  ) async throws -> AppointmentRecord {
    let id = ResourceID(random: random).description
    let clinician = call.scope.userId
    var patient = PatientCheck([draft.patient.description], call, directory: patients)
    return try await mutations.run(call.key, field: path.description, context: call.context) { record in
      try await replayed(record, in: call.scope)
    } decide: { _, now in
      if !allowingPast {
        var violations = FieldViolations()
        draft.checkNotPast(at: now, path: path, violations: &violations)
        try violations.check(errors: errors)
      }
      try await patient.require(at: now)
      if let transcription = draft.transcriptionID, try await store.isLinked(transcription: transcription) {
        throw AppointmentError.transcriptionAlreadyLinked
      }
      var schedule = try await store.schedule(of: clinician, covering: [draft.slot.interval])
      let conflicts = schedule.conflicts(with: draft.slot.interval)
      if !conflicts.isEmpty {
        throw try await slotConflict(conflicts, for: draft.slot, in: draft.rules, clinician: clinician)
      }
      schedule.take(draft.slot.interval, for: id)
      let record = AppointmentRecord(
        id: id, clinician: clinician, patient: draft.patient.description, slot: draft.slot, type: draft.type,
        notes: draft.notes, transcriptionID: draft.transcriptionID, by: call.scope.actor, at: now)
      return Mutations.Decision(
        writes: writing ? schedule.writes + store.creation(of: record) : [], resources: [id], output: record)
    }
  }
}
