internal import Contract
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  static let maxBatchGet = 100

  /// Answers several patients, active or not, and the ids of those that are not there. Rules: DOMAIN 1, 8.
  func batchGetPatients(
    _ request: PatientV1.BatchGetPatientsRequest, context: ServerContext
  ) async throws -> PatientV1.BatchGetPatientsResponse {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: try context.principal, roles: [.clinician, .delegate, .service],
      errors: errors, violations: &violations)
    let ids = batchIds(request.patientIds, &violations)
    let mask = PatientReadMask(request.readMask, at: "read_mask", &violations)
    try violations.check(errors: errors)

    let keys = ids.map { PatientTable.key(id: $0, userId: scope.userId) }
    let found = try await patients.patients(keys).filter(scope.shows)
    let foundIds = Set(found.map(\.id))
    var response = PatientV1.BatchGetPatientsResponse()
    for record in found { response.patients.append(mask.apply(to: try message(record, context: context))) }
    response.missingPatientIds = ids.filter { !foundIds.contains($0) }
    return response
  }

  /// In canonical form, each once, in the order of the request.
  private func batchIds(_ requested: [String], _ violations: inout FieldViolations) -> [String] {
    if requested.isEmpty {
      violations.add(.required, at: "patient_ids", "At least one id is required.")
    } else if requested.count > Self.maxBatchGet {
      violations.add(.tooLong, at: "patient_ids", "At most \(Self.maxBatchGet) ids are allowed.")
      return []
    }
    var seen = Set<String>()
    return requested.enumerated().compactMap { index, text in
      violations.id(text, at: FieldPath("patient_ids")[index].description)?.description
    }.filter { seen.insert($0).inserted }
  }
}
