internal import Contract
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  /// Takes a patient into care again; portal access returns with it. Rules: DOMAIN 2.
  func reactivatePatient(
    _ request: PatientV1.ReactivatePatientRequest, context: ServerContext
  ) async throws -> PatientV1.ReactivatePatientResponse {
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
      guard record.status == .inactive else { throw PatientError.patientAlreadyActive }
      record.status = .active
      return []
    }
    var response = PatientV1.ReactivatePatientResponse()
    response.patient = try message(record, context: context)
    return response
  }
}
