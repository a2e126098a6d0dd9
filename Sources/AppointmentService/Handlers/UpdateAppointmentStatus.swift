internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore
internal import Storage

extension AppointmentHandlers {
  /// Applies the state machine of DOMAIN 4: confirming, completing, cancelling, reinstating and corrections.
  ///
  /// Only reinstating asks the patient service; all else works while that is down (DOMAIN 9).
  func updateAppointmentStatus(
    _ request: AppointmentV1.UpdateAppointmentStatusRequest, context: ServerContext
  ) async throws -> AppointmentV1.UpdateAppointmentStatusResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let id = violations.id(request.appointmentId, at: "appointment_id")
    let status = violations.appointmentStatus(request.status, at: "status")
    var reason: String?
    if !TextRule.reason.clean(request.reason).isEmpty {
      reason = violations.text(request.reason, .reason, at: "reason")
    } else if status == .cancelled {
      violations.addMissingReason()
    }
    try violations.check(errors: errors)
    guard let id, let status else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical)
    let change = StatusRequest(id: id.description, status: status, reason: reason, etag: request.etag)
    var response = AppointmentV1.UpdateAppointmentStatusResponse()
    response.appointment = AppointmentV1.Appointment(try await apply(change, call))
    return response
  }
}

/// A change of status that is asked for.
private struct StatusRequest {
  var id: String
  var status: AppointmentStatus
  var reason: String?
  var etag: String
}

extension AppointmentHandlers {
  private func apply(_ change: StatusRequest, _ call: MutationCall) async throws -> AppointmentRecord {
    var patient: PatientCheck?
    return try await mutations.run(call.key, field: "appointment_id", context: call.context) { record in
      try await replayed(record, in: call.scope)
    } decide: { _, now in
      guard let record = try await store.appointment(change.id, clinician: call.scope.userId) else {
        throw AppointmentError.appointmentNotFound(id: change.id)
      }
      try record.etag.check(change.etag, errors: errors)
      var writes: [Write] = []
      switch record.status.transition(to: change.status) {
      case .refused:
        throw AppointmentError.invalidTransition(from: record.status, to: change.status)
      case .allowedWithReason where change.reason == nil:
        var violations = FieldViolations()
        violations.addMissingReason()
        throw violations.error(errors: errors)
      case .allowed, .allowedWithReason:
        if record.status.blocksTime, !change.status.blocksTime { writes = try await release(record) }
      case .reinstates:
        var check = patient ?? PatientCheck([record.patient], call, directory: patients)
        writes = try await reinstate(record, &check, at: now)
        patient = check
      }
      let changed = record.changing(status: change.status, reason: change.reason, by: call.scope.actor, at: now)
      return Mutations.Decision(writes: writes + store.change(of: changed), resources: [record.id], output: changed)
    }
  }

  /// The writes that give an appointment's time free.
  func release(_ record: AppointmentRecord) async throws -> [Write] {
    var schedule = try await store.schedule(of: record.clinician, covering: [record.slot.interval])
    schedule.free(record.slot.interval, of: record.id)
    return schedule.writes
  }

  /// The writes that take a cancelled appointment's time again: it must not be past, the patient be active and the slot
  /// free (DOMAIN 4).
  private func reinstate(
    _ record: AppointmentRecord, _ patient: inout PatientCheck, at now: Instant
  ) async throws -> [Write] {
    let rules = try rules(of: record.slot)
    if record.slot.isPast(at: now, in: rules) { throw AppointmentError.appointmentInPast }
    try await patient.require(at: now)
    var schedule = try await store.schedule(of: record.clinician, covering: [record.slot.interval])
    let conflicts = schedule.conflicts(with: record.slot.interval, ignoring: record.id)
    if !conflicts.isEmpty {
      throw try await slotConflict(
        conflicts, for: record.slot, in: rules, clinician: record.clinician, ignoring: record.id)
    }
    schedule.take(record.slot.interval, for: record.id)
    return schedule.writes
  }
}

extension FieldViolations {
  /// A required status; `nil` after having noted what is wrong with it.
  mutating func appointmentStatus(
    _ message: AppointmentV1.AppointmentStatus, at field: String
  ) -> AppointmentStatus? {
    if message == .unspecified {
      add(.required, at: field, "A status is required.")
      return nil
    }
    guard let status = AppointmentStatus(message) else {
      add(.outOfRange, at: field, "There is no such status.")
      return nil
    }
    return status
  }

  fileprivate mutating func addMissingReason() {
    add(.required, at: "reason", "This change of status needs a reason.")
  }
}
