internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension TimeBlockHandlers {
  /// Changes a time block, all its occurrences; what it newly covers must be free of appointments (DOMAIN 5).
  func updateTimeBlock(
    _ request: AppointmentV1.UpdateTimeBlockRequest, context: ServerContext
  ) async throws -> AppointmentV1.UpdateTimeBlockResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    guard let message = request.timeBlock else {
      violations.add(.required, at: "time_block", "A time block is required.")
      throw violations.error(errors: errors)
    }
    let path = FieldPath("time_block")
    let id = violations.id(message.id, at: path.field("id"))?.description
    let patch = TimeBlockPaths.Patch(message, mask: request.updateMask?.paths, &violations)
    try patch.check(at: path, zones: zones, &violations)
    try violations.check(errors: errors)
    guard let id else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical)
    let outcome = try await mutations.run(call.key, field: path.description, context: context) { record in
      try await replayed(record, in: scope, force: request.force)
    } decide: { _, now in
      // The head comes first: a booking that is made after it makes the writes fail.
      let head = try await store.scheduleHead(of: scope.userId)
      let record = try await required(id, in: scope)
      try record.etag.check(request.etag, errors: errors)
      let draft = try draft(patch, of: record, at: path)
      let changed = record.changing(draft.content, by: scope.actor, at: now)
      let affected = try await affected(by: draft, instead: record, force: request.force, at: now)
      if changed.version == record.version {
        return Mutations.Decision(resources: [id], output: TimeBlockOutcome(record: record, affected: affected))
      }
      return Mutations.Decision(
        writes: store.change(of: record, to: changed, head: head), resources: [id],
        output: TimeBlockOutcome(record: changed, affected: affected))
    }
    var response = AppointmentV1.UpdateTimeBlockResponse()
    response.timeBlock = AppointmentV1.TimeBlock(outcome.record)
    response.affectedAppointments = try await appointments(outcome.affected, of: scope.userId)
    response.affectedAppointmentCount = Int32(clamping: outcome.affected.count)
    return response
  }

  /// The block as the patch makes it, checked as a whole.
  private func draft(
    _ patch: TimeBlockPaths.Patch, of record: TimeBlockRecord, at path: FieldPath
  ) throws -> TimeBlockDraft {
    var violations = FieldViolations()
    let draft = try TimeBlockDraft(
      patch.applied(to: AppointmentV1.TimeBlock(record)), at: path, zones: zones, violations: &violations)
    try violations.check(errors: errors)
    guard let draft else { throw errors.internalFault() }
    return draft
  }

  /// With `force` all appointments that the new rule overlaps; without, none may overlap what it adds to the old one.
  private func affected(
    by draft: TimeBlockDraft, instead record: TimeBlockRecord, force: Bool, at now: Instant
  ) async throws -> [BusyInterval] {
    let (old, new) = (record.content.rule, draft.content.rule)
    if !force, new == old { return [] }
    let overlapping = try await overlapping(new, of: record.clinician, at: now)
    if force { return overlapping }
    let oldZone = try zone(of: old)
    let added = overlapping.filter { new.adds(to: (old, oldZone), in: $0.interval, zone: draft.zone) }
    if !added.isEmpty { throw try conflict(added, with: new) }
    return []
  }
}
