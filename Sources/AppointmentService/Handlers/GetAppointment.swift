internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// Answers an appointment; a patient sees those of a linked record, redacted (DOMAIN 1).
  func getAppointment(
    _ request: AppointmentV1.GetAppointmentRequest, context: ServerContext
  ) async throws -> AppointmentV1.GetAppointmentResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, roles: [.clinician, .delegate, .patient, .service],
      errors: errors, violations: &violations)
    let id = violations.id(request.appointmentId, at: "appointment_id")
    let mask = AppointmentPaths.ReadMask(request.readMask?.paths, at: "read_mask", &violations)
    try violations.check(errors: errors)
    guard let id else { throw errors.internalFault() }

    let visible = try await visiblePatients(in: scope, principal: principal, context: context)
    guard let record = try await store.appointment(id.description, clinician: scope.userId),
      visible?.allow(record, at: clock.now()) ?? true
    else { throw AppointmentError.appointmentNotFound(id: id.description) }

    var response = AppointmentV1.GetAppointmentResponse()
    if request.ifNoneMatch == record.etag.description {
      response.notModified = true
    } else {
      let message = AppointmentV1.Appointment(record)
      response.appointment = mask.apply(to: visible == nil ? message : message.redactedForPatient())
    }
    return response
  }

  /// Whose appointments a caller of role patient may see; `nil` for all other roles, who see the whole partition.
  ///
  /// It is asked before anything is read, so that an unknown and an invisible appointment take the same way.
  func visiblePatients(
    in scope: ClinicianScope, principal: Principal, context: ServerContext
  ) async throws -> PatientVisibility? {
    guard let identity = scope.linkedIdentity else { return nil }
    let caller = PatientDirectoryCaller(
      deadline: context.deadline, token: principal.forwardableToken, correlationID: context.correlationID)
    do throws(PatientDirectoryError) {
      return PatientVisibility(
        patients: try await patients.linkedPatients(identity: identity, clinician: scope.userId, for: caller))
    } catch {
      throw AppointmentError.directory(error)
    }
  }
}
