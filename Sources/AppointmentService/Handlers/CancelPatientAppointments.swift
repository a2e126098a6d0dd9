internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore
internal import Storage

extension AppointmentHandlers {
  /// The most appointments that one request cancels, over all its repetitions.
  static let cancellationLimit = 1000

  /// Cancels what a patient has to come, each appointment in a transaction of its own, in the order of time.
  ///
  /// With a request id each cancellation leaves a numbered record of its own in its transaction, and the end one for
  /// the whole: a repetition finds how far the request came and goes on there (DOMAIN 8).
  func cancelPatientAppointments(
    _ request: AppointmentV1.CancelPatientAppointmentsRequest, context: ServerContext
  ) async throws -> AppointmentV1.CancelPatientAppointmentsResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let requestID = violations.optionalID(request.requestId, at: "request_id")
    let patient = violations.id(request.patientId, at: "patient_id")?.description
    let reason = violations.text(request.reason, .reason, at: "reason")
    try violations.check(errors: errors)
    guard let patient, let reason else { throw errors.internalFault() }

    var canonical = request
    canonical.requestId = ""
    let cancellation = try PatientCancellation(
      call: MutationCall(context, principal, scope, requestID: requestID, canonicalRequest: canonical),
      requestID: requestID, request: canonical, patient: patient, reason: reason)
    if let whole = try await idempotency(cancellation.call.key) {
      let left = try await store.upcoming(of: patient, clinician: scope.userId, at: clock.now(), limit: 1).total
      context.markReplayed()
      return .init(cancelled: whole.resources, remaining: left)
    }
    let (cancelled, remaining) = try await run(cancellation)
    try await finish(cancellation, cancelled)
    return .init(cancelled: cancelled, remaining: remaining)
  }
}

/// The cancellation of a patient's appointments that is asked for.
private struct PatientCancellation {
  var call: MutationCall
  var requestID: ResourceID?
  /// Without its id.
  var request: AppointmentV1.CancelPatientAppointmentsRequest
  var patient: String
  var reason: String

  /// What its cancellation number `step` is recognized by; `nil` without a request id.
  func key(of step: Int) throws(RPCError) -> IdempotencyKey? {
    guard let requestID else { return nil }
    return try IdempotencyKey(
      requestId: requestID, principal: call.principal, method: "\(call.context.path)#\(step)",
      canonicalRequest: request)
  }
}

/// What became of one step.
private enum CancellationStep: Sendable {
  case cancelled
  /// An earlier call, or one that runs beside this one, took the step for this appointment.
  case takenBefore(String)
  /// It is not to be cancelled any more.
  case skipped
}

extension AppointmentHandlers {
  private func idempotency(_ key: IdempotencyKey?) async throws -> IdempotencyRecord? {
    guard let key else { return nil }
    return try await mutations.idempotency.find(key, now: clock.now())
  }

  private func run(_ cancellation: PatientCancellation) async throws -> (cancelled: [String], remaining: Int) {
    var cancelled: [String] = []
    while cancelled.count < Self.cancellationLimit,
      let before = try await idempotency(cancellation.key(of: cancelled.count))?.resources.first
    { cancelled.append(before) }
    var isResumed = !cancelled.isEmpty

    let upcoming = try await store.upcoming(
      of: cancellation.patient, clinician: cancellation.call.scope.userId, at: clock.now(),
      limit: Self.cancellationLimit)
    var remaining = upcoming.total
    var candidates = upcoming.first[...]
    while let candidate = candidates.first, cancelled.count < Self.cancellationLimit {
      try Task.checkCancellation()
      switch try await take(step: cancelled.count, candidate.id, cancellation) {
      case .takenBefore(let id):
        // The candidate is looked at again, as the next step.
        cancelled.append(id)
        isResumed = true
        continue
      case .cancelled: cancelled.append(candidate.id)
      case .skipped: break
      }
      candidates.removeFirst()
      remaining -= 1
    }
    if isResumed { cancelled = try await inOrderOfTime(cancelled, clinician: cancellation.call.scope.userId) }
    return (cancelled, remaining)
  }

  private func take(step: Int, _ id: String, _ cancellation: PatientCancellation) async throws -> CancellationStep {
    let key = try cancellation.key(of: step)
    let scope = cancellation.call.scope
    return try await mutations.transactions.run(field: "patient_id") { _ in
      if let before = try await idempotency(key)?.resources.first { return .done(.takenBefore(before)) }
      let now = clock.now()
      guard let record = try await store.appointment(id, clinician: scope.userId), record.isCancellable(at: now)
      else { return .done(.skipped) }
      let changed = record.changing(status: .cancelled, reason: cancellation.reason, by: scope.actor, at: now)
      let marks = key.map { [mutations.idempotency.write($0, resources: [id], now: now)] } ?? []
      return .commit(try await release(record) + store.change(of: changed) + marks, then: .cancelled)
    }
  }

  /// Remembers that the request is done, so that its repetition cancels nothing that was booked since.
  private func finish(_ cancellation: PatientCancellation, _ cancelled: [String]) async throws {
    guard let key = cancellation.call.key else { return }
    try await mutations.transactions.run(field: "patient_id") { _ in
      if try await idempotency(key) != nil { return .done(()) }
      return .commit([mutations.idempotency.write(key, resources: cancelled, now: clock.now())], then: ())
    }
  }

  private func inOrderOfTime(_ ids: [String], clinician: String) async throws -> [String] {
    var records: [AppointmentRecord] = []
    // One that was reinstated in between may have been cancelled twice.
    let ids = Array(Set(ids))
    for start in stride(from: 0, to: ids.count, by: Self.batchReadLimit) {
      let part = Array(ids[start..<min(ids.count, start + Self.batchReadLimit)])
      records += try await store.appointments(part, clinician: clinician)
    }
    return records.sorted { ($0.slot.start, $0.id) < ($1.slot.start, $1.id) }.map(\.id)
  }
}

extension AppointmentV1.CancelPatientAppointmentsResponse {
  fileprivate init(cancelled: [String], remaining: Int) {
    self.init()
    cancelledAppointmentIds = cancelled
    remainingCount = Int32(clamping: remaining)
  }
}
