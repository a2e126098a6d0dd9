internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension TimeBlockHandlers {
  /// Deletes a time block for good; its time is free at once (DOMAIN 5).
  func deleteTimeBlock(
    _ request: AppointmentV1.DeleteTimeBlockRequest, context: ServerContext
  ) async throws -> AppointmentV1.DeleteTimeBlockResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let id = violations.id(request.timeBlockId, at: "time_block_id")?.description
    try violations.check(errors: errors)
    guard let id else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical)
    return try await mutations.run(call.key, field: "time_block_id", context: context) { _ in
      AppointmentV1.DeleteTimeBlockResponse()
    } decide: { _, _ in
      let head = try await store.scheduleHead(of: scope.userId)
      let record = try await required(id, in: scope)
      try record.etag.check(request.etag, errors: errors)
      return Mutations.Decision(
        writes: store.deletion(of: record, head: head), resources: [id],
        output: AppointmentV1.DeleteTimeBlockResponse())
    }
  }
}
