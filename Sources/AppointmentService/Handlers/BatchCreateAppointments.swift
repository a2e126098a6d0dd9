internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore
internal import Storage

extension AppointmentHandlers {
  /// The most appointments that one call books (DOMAIN 8).
  static let batchCreateLimit = 25
  /// Writes of one batch, which leaves room for its idempotency, audit and journal records.
  static let batchWriteLimit = StoreLimits.transactionWrites - 3

  /// Books several appointments of one clinician, all or none (DOMAIN 4, "Batch create").
  func batchCreateAppointments(
    _ request: AppointmentV1.BatchCreateAppointmentsRequest, context: ServerContext
  ) async throws -> AppointmentV1.BatchCreateAppointmentsResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let drafts = try drafts(of: request, scope: scope, &violations)
    try violations.check(errors: errors)

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(
      context, principal, scope, requestID: request.validateOnly ? nil : requestID, canonicalRequest: canonical)
    let records = try await book(drafts, writing: !request.validateOnly, call)
    var response = AppointmentV1.BatchCreateAppointmentsResponse()
    response.appointments = records.map { record in
      var message = AppointmentV1.Appointment(record)
      if request.validateOnly {
        (message.id, message.version, message.etag) = ("", 0, "")
      }
      return message
    }
    return response
  }

  private func drafts(
    of request: AppointmentV1.BatchCreateAppointmentsRequest, scope: ClinicianScope,
    _ violations: inout FieldViolations
  ) throws -> [BatchDraft] {
    if request.requests.isEmpty {
      violations.add(.required, at: "requests", "At least one request is required.")
    } else if request.requests.count > Self.batchCreateLimit {
      violations.add(.outOfRange, at: "requests", "At most \(Self.batchCreateLimit) requests are allowed.")
    }
    var drafts: [BatchDraft] = []
    for (index, item) in request.requests.prefix(Self.batchCreateLimit).enumerated() {
      let path = FieldPath("requests")[index]
      if !item.userId.isEmpty, item.userId != scope.userId {
        violations.add(.malformed, at: path.field("user_id"), "It must be empty or that of the batch.")
      }
      if !item.requestId.isEmpty {
        violations.add(.malformed, at: path.field("request_id"), "Only the batch has a request id.")
      }
      if item.validateOnly {
        violations.add(.malformed, at: path.field("validate_only"), "Only the batch is validated.")
      }
      let appointment = path.child("appointment")
      guard let draft = try BookingDraft(item.appointment, at: appointment, zones: zones, violations: &violations)
      else { continue }
      drafts.append(
        BatchDraft(
          draft: draft, path: appointment, allowsPast: item.allowPast || request.allowPast,
          id: ResourceID(random: random).description))
    }
    return drafts
  }

  private func book(
    _ drafts: [BatchDraft], writing: Bool, _ call: MutationCall
  ) async throws -> [AppointmentRecord] {
    let clinician = call.scope.userId
    // In the order of the request, each once.
    var seen: Set<ResourceID> = []
    let asked = drafts.map(\.draft.patient).filter { seen.insert($0).inserted }.map(\.description)
    var patient = PatientCheck(asked, call, directory: patients)
    return try await mutations.run(call.key, field: "requests", context: call.context) { record in
      let records = try await store.appointments(record.resources, clinician: clinician)
      guard records.count == record.resources.count else { throw errors.recordCorrupt() }
      return records
    } decide: { _, now in
      try check(drafts, at: now)
      try await patient.require(at: now)
      try await checkLinks(of: drafts)
      var schedule = try await store.schedule(of: clinician, covering: drafts.map(\.draft.slot.interval))
      try await take(drafts, in: &schedule, clinician: clinician)
      let records = drafts.map { item in
        AppointmentRecord(
          id: item.id, clinician: clinician, patient: item.draft.patient.description, slot: item.draft.slot,
          type: item.draft.type, notes: item.draft.notes, transcriptionID: item.draft.transcriptionID,
          by: call.scope.actor, at: now)
      }
      let writes = schedule.writes + records.flatMap { store.creation(of: $0) }
      if writes.count > Self.batchWriteLimit {
        var violations = FieldViolations()
        violations.add(.outOfRange, at: "requests", "The batch changes too much at once: make two.")
        throw violations.error(errors: errors)
      }
      return Mutations.Decision(writes: writing ? writes : [], resources: records.map(\.id), output: records)
    }
  }

  private func check(_ drafts: [BatchDraft], at now: Instant) throws {
    var violations = FieldViolations()
    for item in drafts where !item.allowsPast {
      item.draft.checkNotPast(at: now, path: item.path, violations: &violations)
    }
    try violations.check(errors: errors)
  }

  private func checkLinks(of drafts: [BatchDraft]) async throws {
    var seen: Set<String> = []
    for transcription in drafts.compactMap(\.draft.transcriptionID) {
      guard seen.insert(transcription).inserted, try await !store.isLinked(transcription: transcription) else {
        throw AppointmentError.transcriptionAlreadyLinked
      }
    }
  }

  /// Plays the bookings through one after the other, so that they are checked against each other too.
  private func take(
    _ drafts: [BatchDraft], in schedule: inout ScheduleSnapshot, clinician: String
  ) async throws {
    var places: [String: Int] = [:]
    for (index, item) in drafts.enumerated() {
      let slot = item.draft.slot
      let conflicts = schedule.conflicts(with: slot.interval)
      if !conflicts.isEmpty {
        // What this batch would have made has no id yet that the caller could know.
        let named = conflicts.map { conflict in
          var named = conflict
          if let place = places[conflict.id] { named.id = "requests[\(place)]" }
          return named
        }
        throw try await slotConflict(
          named, for: slot, in: item.draft.rules, clinician: clinician, beside: schedule.busy,
          requestIndex: index)
      }
      schedule.take(slot.interval, for: item.id)
      places[item.id] = index
    }
  }
}

/// One booking of a batch.
private struct BatchDraft {
  var draft: BookingDraft
  var path: FieldPath
  var allowsPast: Bool
  var id: String
}
