internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  /// Answers a patient, active or not; a portal identity sees the record it is linked to. Rules: DOMAIN 1.
  func getPatient(
    _ request: PatientV1.GetPatientRequest, context: ServerContext
  ) async throws -> PatientV1.GetPatientResponse {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: try context.principal, roles: [.clinician, .delegate, .patient, .service],
      errors: errors, violations: &violations)
    let id = violations.id(request.patientId, at: "patient_id")
    let mask = PatientReadMask(request.readMask, at: "read_mask", &violations)
    guard let id, violations.isEmpty else { throw violations.error(errors: errors) }

    let record = try await visiblePatient(id, in: scope)
    var response = PatientV1.GetPatientResponse()
    if Etag(version: record.version).description == request.ifNoneMatch {
      response.notModified = true
    } else {
      response.patient = mask.apply(to: try message(record, context: context))
    }
    return response
  }
}
