internal import Contract
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  /// Answers the caller's patient with a record number, in any letter case. Another clinician's patient is as unknown
  /// as none. Rules: DOMAIN 2.
  func getPatientByMrn(
    _ request: PatientV1.GetPatientByMrnRequest, context: ServerContext
  ) async throws -> PatientV1.GetPatientByMrnResponse {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: try context.principal, errors: errors, violations: &violations)
    if request.mrn.isEmpty { violations.add(.required, at: "mrn", "A record number is required.") }
    let mrn = request.mrn.isEmpty ? nil : MedicalRecordNumber.supplied(request.mrn, at: "mrn", &violations)
    let mask = PatientReadMask(request.readMask, at: "read_mask", &violations)
    guard let mrn, violations.isEmpty else { throw violations.error(errors: errors) }

    guard let record = try await patients.patient(mrn: mrn, userId: scope.userId) else {
      throw PatientError.notFound(id: mrn)
    }
    var response = PatientV1.GetPatientByMrnResponse()
    if Etag(version: record.version).description == request.ifNoneMatch {
      response.notModified = true
    } else {
      response.patient = mask.apply(to: try message(record, context: context))
    }
    return response
  }
}
