internal import Contract
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  /// Ends the care of a patient; portal access ends with it, since it needs an active patient. Rules: DOMAIN 2.
  func deactivatePatient(
    _ request: PatientV1.DeactivatePatientRequest, context: ServerContext
  ) async throws -> PatientV1.DeactivatePatientResponse {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: try context.principal, errors: errors, violations: &violations)
    let id = violations.id(request.patientId, at: "patient_id")
    let requestId = violations.optionalID(request.requestId, at: "request_id")
    guard let id, violations.isEmpty else { throw violations.error(errors: errors) }
    var canonical = request
    canonical.requestId = ""
    let key = try idempotencyKey(requestId, canonical: canonical, context: context)

    let record = try await changePatient(id, in: scope, etag: request.etag, key: key, context: context) { record in
      guard record.status == .active else { throw PatientError.patientInactive }
      record.status = .inactive
      return []
    }
    var response = PatientV1.DeactivatePatientResponse()
    response.patient = try message(record, context: context)
    return response
  }
}
