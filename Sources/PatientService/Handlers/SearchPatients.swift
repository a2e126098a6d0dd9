internal import Contract
internal import RPC
internal import ServiceCore

extension PatientServiceHandlers {
  static let maxPrefixLength = 100

  /// Finds patients by the beginning of their folded last name, in the order of a list. Rules: DOMAIN 7.
  func searchPatients(
    _ request: PatientV1.SearchPatientsRequest, context: ServerContext
  ) async throws -> PatientV1.SearchPatientsResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let size = violations.pageSize(request.pageSize)
    let prefix = lastNamePrefix(of: request, &violations)
    let status = PatientStatus.filter(
      request.status, showsInactive: request.showInactive, at: "status", &violations)
    let mask = PatientReadMask(request.readMask, at: "read_mask", &violations)
    var filters = request
    filters.pageSize = 0
    filters.pageToken = ""
    let binding = try PageTokens.Binding(method: context.path, principal: principal, filters: filters)
    let position = patientPosition(request.pageToken, binding: binding, &violations)
    try violations.check(errors: errors)

    let listing = PatientListing(userId: scope.userId, status: status, foldedLastNamePrefix: prefix)
    let page = try await patients.list(listing, after: position, limit: size)
    var response = PatientV1.SearchPatientsResponse()
    for record in page.records { response.patients.append(mask.apply(to: try message(record, context: context))) }
    if let next = page.next { response.nextPageToken = try pageToken(next, binding: binding) }
    if request.includeTotalSize { response.totalSize = Int32(clamping: try await patients.count(listing)) }
    return response
  }

  /// The folded prefix; something has to be left of it.
  private func lastNamePrefix(
    of request: PatientV1.SearchPatientsRequest, _ violations: inout FieldViolations
  ) -> String {
    let field = "last_name_prefix"
    if !request.query.isEmpty {
      violations.add(.outOfRange, at: "query", "This server does not rank yet: search by last_name_prefix.")
      return ""
    }
    if request.lastNamePrefix.isEmpty {
      violations.add(.required, at: field, "The beginning of a last name is required.")
      return ""
    }
    guard request.lastNamePrefix.unicodeScalars.count <= Self.maxPrefixLength else {
      violations.add(.tooLong, at: field, "It must have at most \(Self.maxPrefixLength) characters.")
      return ""
    }
    let folded = fold(request.lastNamePrefix)
    if folded.isEmpty { violations.add(.malformed, at: field, "It must not be blank or punctuation only.") }
    return folded
  }
}
