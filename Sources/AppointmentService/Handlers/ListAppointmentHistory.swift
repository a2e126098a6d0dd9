internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// Lists all that happened to an appointment, in the order of its sequence (DOMAIN 4 and 7).
  func listAppointmentHistory(
    _ request: AppointmentV1.ListAppointmentHistoryRequest, context: ServerContext
  ) async throws -> AppointmentV1.ListAppointmentHistoryResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let id = violations.id(request.appointmentId, at: "appointment_id")
    let size = violations.pageSize(request.pageSize)
    let kinds = violations.filter(request.kinds, at: "kinds") { $1.historyKind($0, at: $2) }
    let ascending = violations.isAscending(request.order, at: "order")
    var filters = request
    (filters.pageSize, filters.pageToken) = (0, "")
    let binding = try PageTokens.Binding(method: context.path, principal: principal, filters: filters)
    let place = violations.pagePlace(request.pageToken, parts: 1, tokens: pageTokens, binding: binding)
    try violations.check(errors: errors)
    guard let id = id?.description else { throw errors.internalFault() }

    guard let record = try await store.appointment(id, clinician: scope.userId) else {
      throw AppointmentError.appointmentNotFound(id: id)
    }
    let listing = HistoryListing(kinds: kinds, after: place.flatMap { Int64($0[0]) }, ascending: ascending)
    let page = try await store.history(of: record, listing, limit: size)
    var response = AppointmentV1.ListAppointmentHistoryResponse()
    response.entries = page.entries.map { AppointmentV1.HistoryEntry($0) }
    if let next = page.next { response.nextPageToken = try pageTokens.seal([String(next)], binding: binding) }
    return response
  }
}

extension AppointmentV1.HistoryEntry {
  fileprivate init(_ entry: AppointmentHistoryEntry) {
    self.init()
    sequence = entry.sequence
    switch entry {
    case .status(let entry): change = .statusChange(AppointmentV1.StatusChange(entry))
    case .notes(let entry): change = .notesChange(AppointmentV1.NotesChange(entry))
    case .reschedule(let entry): change = .rescheduleChange(AppointmentV1.RescheduleChange(entry))
    }
  }
}

extension FieldViolations {
  fileprivate mutating func historyKind(_ message: AppointmentV1.HistoryKind, at field: String) -> HistoryItem.Kind? {
    switch message {
    case .status: return .status
    case .notes: return .notes
    case .reschedule: return .reschedule
    case .unspecified: add(.required, at: field, "A kind is required.")
    default: add(.outOfRange, at: field, "There is no such kind.")
    }
    return nil
  }
}
