internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  /// Registers a patient. Rules: DOMAIN 2; record numbers are unique because their item is written in the same
  /// transaction.
  func createPatient(
    _ request: PatientV1.CreatePatientRequest, context: ServerContext
  ) async throws -> PatientV1.CreatePatientResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let input = NewPatient(request.patient, at: FieldPath("patient"), &violations)
    let requestId = violations.optionalID(request.requestId, at: "request_id")
    if request.sendInvitation {
      violations.add(.outOfRange, at: "send_invitation", "This server does not make invitations yet.")
    }
    guard let input, violations.isEmpty else { throw violations.error(errors: errors) }

    var canonical = request
    canonical.requestId = ""
    var collisions = 0
    let record = try await mutations.run(
      try idempotencyKey(requestId, canonical: canonical, context: context), field: "patient", context: context,
      replay: { try await replayedPatient($0, in: scope) },
      decide: { attempt, now in
        try checkClock(input, principal: principal)
        if attempt.refused.contains(PatientStore.mrnPlace) {
          if input.mrn != nil { throw PatientError.mrnAlreadyExists }
          collisions += 1
          if collisions > MedicalRecordNumber.retries { throw errors.contention() }
        }
        let record = PatientRecord(
          id: ResourceID(random: random).description, userId: scope.userId,
          mrn: input.mrn ?? MedicalRecordNumber.generated(at: now, collisions: collisions, random: random),
          details: input.details, by: scope.actor, at: now)
        return .init(writes: patients.insertion(of: record), resources: [record.id], output: record)
      })
    var response = PatientV1.CreatePatientResponse()
    response.patient = try message(record, context: context)
    return response
  }

  /// The patient that an earlier, equal request made or changed, as it is now.
  func replayedPatient(_ record: IdempotencyRecord, in scope: ClinicianScope) async throws -> PatientRecord {
    guard let id = record.resources.first,
      let patient = try await patients.patient(id: id, userId: scope.userId)
    else { throw errors.recordCorrupt() }
    return patient
  }

  private func checkClock(_ input: NewPatient, principal: Principal) throws(RPCError) {
    var violations = FieldViolations()
    PatientRules.checkBirthDate(
      input.details.dateOfBirth, today: calendar.today(for: principal), at: "patient.date_of_birth", &violations)
    try violations.check(errors: errors)
  }
}
