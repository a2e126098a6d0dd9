internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// The most appointments that one call reads (DOMAIN 8).
  static let batchReadLimit = 100

  /// Answers several appointments, and the ids of those that do not exist.
  func batchGetAppointments(
    _ request: AppointmentV1.BatchGetAppointmentsRequest, context: ServerContext
  ) async throws -> AppointmentV1.BatchGetAppointmentsResponse {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: context.principal, roles: [.clinician, .delegate, .service],
      errors: errors, violations: &violations)
    if request.appointmentIds.isEmpty {
      violations.add(.required, at: "appointment_ids", "At least one id is required.")
    } else if request.appointmentIds.count > Self.batchReadLimit {
      violations.add(.outOfRange, at: "appointment_ids", "At most \(Self.batchReadLimit) ids are allowed.")
    }
    var ids: [String] = []
    var seen: Set<String> = []
    for (index, text) in request.appointmentIds.prefix(Self.batchReadLimit).enumerated() {
      guard let id = violations.id(text, at: "appointment_ids[\(index)]")?.description else { continue }
      if seen.insert(id).inserted { ids.append(id) }
    }
    let mask = AppointmentPaths.ReadMask(request.readMask?.paths, at: "read_mask", &violations)
    try violations.check(errors: errors)

    // A service that acts for a patient may do no more than the patient.
    guard scope.linkedIdentity == nil else { throw errors.roleNotAllowed() }
    let records = try await store.appointments(ids, clinician: scope.userId)
    let found = Set(records.map(\.id))
    var response = AppointmentV1.BatchGetAppointmentsResponse()
    response.appointments = records.map { mask.apply(to: AppointmentV1.Appointment($0)) }
    response.missingAppointmentIds = ids.filter { !found.contains($0) }
    return response
  }
}
