internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension TimeBlockHandlers {
  /// Blocks a range of a clinician's time, once or recurring (DOMAIN 5).
  func createTimeBlock(
    _ request: AppointmentV1.CreateTimeBlockRequest, context: ServerContext
  ) async throws -> AppointmentV1.CreateTimeBlockResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    var draft: TimeBlockDraft?
    if let message = request.timeBlock {
      draft = try TimeBlockDraft(message, at: FieldPath("time_block"), zones: zones, violations: &violations)
    } else {
      violations.add(.required, at: "time_block", "A time block is required.")
    }
    try violations.check(errors: errors)
    guard let content = draft?.content else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical)
    let id = ResourceID(random: random).description
    let outcome = try await mutations.run(call.key, field: "time_block", context: context) { record in
      try await replayed(record, in: scope, force: request.force)
    } decide: { _, now in
      // The head comes first: a booking that is made after it makes the writes fail.
      let head = try await store.scheduleHead(of: scope.userId)
      let affected = try await overlapping(content.rule, of: scope.userId, at: now)
      if !affected.isEmpty, !request.force { throw try conflict(affected, with: content.rule) }
      let record = TimeBlockRecord(id: id, clinician: scope.userId, content: content, by: scope.actor, at: now)
      return Mutations.Decision(
        writes: store.creation(of: record, head: head), resources: [id],
        output: TimeBlockOutcome(record: record, affected: affected))
    }
    var response = AppointmentV1.CreateTimeBlockResponse()
    response.timeBlock = AppointmentV1.TimeBlock(outcome.record)
    response.affectedAppointments = try await appointments(outcome.affected, of: scope.userId)
    response.affectedAppointmentCount = Int32(clamping: outcome.affected.count)
    return response
  }
}
