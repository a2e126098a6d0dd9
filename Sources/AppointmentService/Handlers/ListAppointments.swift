internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension AppointmentHandlers {
  /// Lists appointments by local date, time and id (DOMAIN 7); a patient sees those of linked records, redacted
  /// (DOMAIN 1).
  func listAppointments(
    _ request: AppointmentV1.ListAppointmentsRequest, context: ServerContext
  ) async throws -> AppointmentV1.ListAppointmentsResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, roles: [.clinician, .delegate, .patient, .service],
      errors: errors, violations: &violations)
    var listing = AppointmentListing(request, scope, &violations)
    let size = violations.pageSize(request.pageSize)
    let mask = AppointmentPaths.ReadMask(request.readMask?.paths, at: "read_mask", &violations)
    var filters = request
    (filters.pageSize, filters.pageToken) = (0, "")
    let binding = try PageTokens.Binding(method: context.path, principal: principal, filters: filters)
    let place = violations.pagePlace(request.pageToken, parts: 2, tokens: pageTokens, binding: binding)
    try violations.check(errors: errors)

    var response = AppointmentV1.ListAppointmentsResponse()
    if let visible = try await visiblePatients(in: scope, principal: principal, context: context) {
      listing.visibility = (visible, clock.now())
      // Mostly there is one linked record, and its own index is the shorter way.
      if listing.patient == nil, visible.patients.count < 2 { listing.patient = visible.patients.first ?? "-" }
    }
    let position = place.map { AppointmentPosition(orderKey: $0[0], id: $0[1]) }
    let page = try await store.list(listing, after: position, limit: size)
    response.appointments = page.records.map { record in
      let message = AppointmentV1.Appointment(record)
      return mask.apply(to: listing.visibility == nil ? message : message.redactedForPatient())
    }
    if let next = page.next {
      response.nextPageToken = try pageTokens.seal([next.orderKey, next.id], binding: binding)
    }
    if request.includeTotalSize { response.totalSize = Int32(clamping: try await store.count(listing)) }
    return response
  }
}

extension AppointmentListing {
  /// Notes all that is wrong with the filters; must not be used then.
  fileprivate init(
    _ request: AppointmentV1.ListAppointmentsRequest, _ scope: ClinicianScope, _ violations: inout FieldViolations
  ) {
    self.init(clinician: scope.userId)
    patient = violations.optionalID(request.patientId, at: "patient_id")?.description
    start = violations.optionalDate(request.startDate, at: "start_date")
    end = violations.optionalDate(request.endDate, at: "end_date")
    if let start, let end, end < start {
      violations.add(.outOfRange, at: "end_date", "The last date is before the first.")
    }
    statuses = violations.filter(request.statuses, at: "statuses") { $1.appointmentStatus($0, at: $2) }
    types = violations.filter(request.types, at: "types") { $1.appointmentType($0, at: $2) }
    ascending = violations.isAscending(request.order, at: "order")
  }
}

extension FieldViolations {
  /// The parts of a page token's place; `nil` on the first page, or after having noted that it is no token of this list.
  mutating func pagePlace(
    _ token: String, parts count: Int, tokens: PageTokens, binding: PageTokens.Binding
  ) -> [String]? {
    guard let place = pagePosition(token, tokens: tokens, binding: binding), place.count == count else { return nil }
    return place
  }

  /// The values of a repeated filter; `nil` when there is none: any.
  mutating func filter<Message, Value: Hashable>(
    _ messages: [Message], at field: String, _ read: (Message, inout FieldViolations, String) -> Value?
  ) -> Set<Value>? {
    if messages.isEmpty { return nil }
    return Set(messages.indices.compactMap { read(messages[$0], &self, "\(field)[\($0)]") })
  }

  /// A direction; none is ascending.
  mutating func isAscending(_ order: AppointmentV1.SortOrder, at field: String) -> Bool {
    switch order {
    case .unspecified, .ascending: return true
    case .descending: return false
    default:
      add(.outOfRange, at: field, "There is no such order.")
      return true
    }
  }

  fileprivate mutating func optionalDate(_ text: String, at field: String) -> CivilDate? {
    if text.isEmpty { return nil }
    let date = CivilDate(text)
    if date == nil { add(.malformed, at: field, "A date is YYYY-MM-DD, and a day of the calendar.") }
    return date
  }
}
