internal import CivilTime
internal import Contract
internal import RPC
internal import ServiceCore
internal import Storage

extension PatientServiceHandlers {
  /// Changes demographic data, of an inactive patient too. Rules: DOMAIN 2 and 3.
  func updatePatient(
    _ request: PatientV1.UpdatePatientRequest, context: ServerContext
  ) async throws -> PatientV1.UpdatePatientResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let id = request.patient.flatMap { violations.id($0.id, at: "patient.id") }
    let update = PatientUpdate(request.patient, mask: request.updateMask, &violations)
    let requestId = violations.optionalID(request.requestId, at: "request_id")
    guard let id, let update, violations.isEmpty else { throw violations.error(errors: errors) }
    var canonical = request
    canonical.requestId = ""
    let key = try idempotencyKey(requestId, canonical: canonical, context: context)

    let record = try await changePatient(
      id, in: scope, etag: request.etag, key: key, context: context,
      checkClock: {
        var violations = FieldViolations()
        update.checkClock(today: calendar.today(for: principal), &violations)
        try violations.check(errors: errors)
      },
      change: { record in
        var violations = FieldViolations()
        let email = record.details.email
        update.apply(to: &record, &violations)
        try violations.check(errors: errors)
        return record.details.email.lowercased() == email.lowercased() ? [] : revokeInvitation(&record)
      })
    var response = PatientV1.UpdatePatientResponse()
    response.patient = try message(record, context: context)
    return response
  }

  /// A live invitation was sent to the old address: it is invalid now. Source: DOMAIN 3.
  private func revokeInvitation(_ record: inout PatientRecord) -> [Write] {
    guard record.account.status == .pending, let hash = record.account.invitationTokenHash else { return [] }
    record.account.invitationTokenHash = nil
    record.account.invitationExpiresAt = nil
    return [.delete(PatientTable.invitationKey(tokenHash: hash), in: PatientTable.schema)]
  }
}
