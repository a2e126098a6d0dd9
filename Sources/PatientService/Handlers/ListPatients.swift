internal import Contract
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  /// Lists patients by folded last name, first name and id. Rules: DOMAIN 7.
  func listPatients(
    _ request: PatientV1.ListPatientsRequest, context: ServerContext
  ) async throws -> PatientV1.ListPatientsResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let size = violations.pageSize(request.pageSize)
    let status = PatientStatus.filter(
      request.status, showsInactive: request.showInactive, at: "status", &violations)
    let ascending = sortsAscending(request.order, &violations)
    let mask = PatientReadMask(request.readMask, at: "read_mask", &violations)
    var filters = request
    filters.pageSize = 0
    filters.pageToken = ""
    let binding = try PageTokens.Binding(method: context.path, principal: principal, filters: filters)
    let position = patientPosition(request.pageToken, binding: binding, &violations)
    try violations.check(errors: errors)

    let listing = PatientListing(userId: scope.userId, status: status, ascending: ascending)
    let page = try await patients.list(listing, after: position, limit: size)
    var response = PatientV1.ListPatientsResponse()
    for record in page.records { response.patients.append(mask.apply(to: try message(record, context: context))) }
    if let next = page.next { response.nextPageToken = try pageToken(next, binding: binding) }
    if request.includeTotalSize { response.totalSize = Int32(clamping: try await patients.count(listing)) }
    return response
  }

  func patientPosition(
    _ token: String, binding: PageTokens.Binding, _ violations: inout FieldViolations
  ) -> PatientPosition? {
    guard let parts = violations.pagePosition(token, tokens: pageTokens, binding: binding), parts.count == 2 else {
      return nil
    }
    return PatientPosition(order: parts[0], id: parts[1])
  }

  func pageToken(_ position: PatientPosition, binding: PageTokens.Binding) throws(RPCError) -> String {
    try pageTokens.seal([position.order, position.id], binding: binding)
  }

  private func sortsAscending(_ order: PatientV1.SortOrder, _ violations: inout FieldViolations) -> Bool {
    switch order {
    case .unspecified, .ascending: return true
    case .descending: return false
    default:
      violations.add(.outOfRange, at: "order", "It is none of the orders of the contract.")
      return true
    }
  }
}

extension PatientStatus {
  /// The status that a list or search shows: the one that is asked for, else active; `nil` is any.
  static func filter(
    _ status: PatientV1.PatientStatus, showsInactive: Bool, at field: String, _ violations: inout FieldViolations
  ) -> PatientStatus? {
    switch status {
    case .unspecified: return showsInactive ? nil : .active
    case .active: return .active
    case .inactive: return .inactive
    default:
      violations.add(.outOfRange, at: field, "It is none of the statuses of the contract.")
      return nil
    }
  }
}
