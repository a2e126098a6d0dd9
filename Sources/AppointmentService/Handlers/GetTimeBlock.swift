internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension TimeBlockHandlers {
  /// Answers a time block of the caller's partition.
  func getTimeBlock(
    _ request: AppointmentV1.GetTimeBlockRequest, context: ServerContext
  ) async throws -> AppointmentV1.GetTimeBlockResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let id = violations.id(request.timeBlockId, at: "time_block_id")
    let mask = TimeBlockPaths.ReadMask(request.readMask?.paths, at: "read_mask", &violations)
    try violations.check(errors: errors)
    guard let id else { throw errors.internalFault() }

    let record = try await required(id.description, in: scope)
    var response = AppointmentV1.GetTimeBlockResponse()
    if request.ifNoneMatch == record.etag.description {
      response.notModified = true
    } else {
      response.timeBlock = mask.apply(to: AppointmentV1.TimeBlock(record))
    }
    return response
  }
}
