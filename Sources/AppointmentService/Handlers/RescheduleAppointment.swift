internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// Moves a scheduled or confirmed appointment, or changes its duration (DOMAIN 4).
  func rescheduleAppointment(
    _ request: AppointmentV1.RescheduleAppointmentRequest, context: ServerContext
  ) async throws -> AppointmentV1.RescheduleAppointmentResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let id = violations.id(request.appointmentId, at: "appointment_id")
    try request.checkFields(zones: zones, &violations)
    try violations.check(errors: errors)
    guard let id else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let call = try MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical)
    var response = AppointmentV1.RescheduleAppointmentResponse()
    response.appointment = AppointmentV1.Appointment(try await move(id.description, request, call))
    return response
  }

  var zones: SlotZones { SlotZones(database: timeZones, defaultID: defaultTimeZone) }

  private func move(
    _ id: String, _ request: AppointmentV1.RescheduleAppointmentRequest, _ call: MutationCall
  ) async throws -> AppointmentRecord {
    let clinician = call.scope.userId
    var patient: PatientCheck?
    return try await mutations.run(call.key, field: "appointment_id", context: call.context) { record in
      try await replayed(record, in: call.scope)
    } decide: { _, now in
      guard let record = try await store.appointment(id, clinician: clinician) else {
        throw AppointmentError.appointmentNotFound(id: id)
      }
      try record.etag.check(request.etag, errors: errors)
      guard record.status == .scheduled || record.status == .confirmed else {
        throw AppointmentError.statusForbids(record.status, allowed: [.scheduled, .confirmed])
      }
      let (slot, rules) = try target(of: request, from: record)
      if slot == record.slot { return Mutations.Decision(resources: [id], output: record) }
      if slot.isPast(at: now, in: rules) {
        var violations = FieldViolations()
        violations.add(.appointmentInPast, at: "date", "The date is past.")
        throw violations.error(errors: errors)
      }
      var check = patient ?? PatientCheck([record.patient], call, directory: patients)
      try await check.require(at: now)
      patient = check
      var schedule = try await store.schedule(of: clinician, covering: [record.slot.interval, slot.interval])
      let conflicts = schedule.conflicts(with: slot.interval, ignoring: id)
      if !conflicts.isEmpty {
        throw try await slotConflict(conflicts, for: slot, in: rules, clinician: clinician, ignoring: id)
      }
      schedule.free(record.slot.interval, of: id)
      schedule.take(slot.interval, for: id)
      let changed = record.moving(to: slot, by: call.scope.actor, at: now)
      return Mutations.Decision(
        writes: schedule.writes + store.change(of: changed), resources: [id], output: changed)
    }
  }

  /// What the request means for this appointment: what is absent stays.
  private func target(
    of request: AppointmentV1.RescheduleAppointmentRequest, from record: AppointmentRecord
  ) throws -> (slot: AppointmentSlot, rules: TimeZoneRules) {
    var fold = request.fold
    if fold == .unspecified, request.date == nil, request.time == nil, request.timeZone == nil {
      fold = record.slot.fold.message
    }
    let fields = SlotFields(
      date: request.date ?? record.slot.date.description, time: request.time ?? record.slot.time.description,
      duration: request.duration ?? Int32(clamping: record.slot.duration),
      timeZone: request.timeZone ?? record.slot.timeZone, fold: fold, defaultDuration: nil)
    var violations = FieldViolations()
    let slot = try fields.slot(at: FieldPath(""), zones: zones, violations: &violations)
    try violations.check(errors: errors)
    guard let slot else { throw errors.internalFault() }
    return slot
  }
}

extension AppointmentV1.RescheduleAppointmentRequest {
  /// Notes what is wrong with the fields that are present, each on its own; what they mean together depends on the
  /// appointment.
  fileprivate func checkFields(zones: SlotZones, _ violations: inout FieldViolations) throws {
    let fields = SlotFields(
      date: date ?? "", time: time ?? "", duration: duration ?? 0, timeZone: timeZone ?? "", fold: fold,
      defaultDuration: nil)
    if date == nil, time == nil, duration == nil, timeZone == nil, fold == .unspecified {
      violations.add(.required, at: "date", "A new date, time, duration or time zone is required.")
    }
    if date != nil { _ = fields.checkedDate(at: "date", &violations) }
    if time != nil { _ = fields.checkedTime(at: "time", &violations) }
    if duration == 0 {
      violations.add(.outOfRange, at: "duration", "A duration is a multiple of 15 minutes from 15 to 1440.")
    } else if duration != nil {
      _ = fields.checkedDuration(at: "duration", &violations)
    }
    if timeZone == "" {
      violations.add(.unknownTimeZone, at: "time_zone", "A time zone is an IANA name such as America/Toronto.")
    } else if timeZone != nil {
      _ = try fields.checkedRules(at: "time_zone", zones, &violations)
    }
    if AppointmentSlot.Fold(fold) == nil { violations.add(.outOfRange, at: "fold", "There is no such fold.") }
  }
}
