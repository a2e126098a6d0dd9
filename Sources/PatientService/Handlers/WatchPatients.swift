internal import Contract
internal import RPC
internal import ServiceCore
internal import StandardProtos

/// The feed of a clinician's patients.
typealias PatientFeed = ChangeFeed<PatientV1.ResourceType>

extension PatientServiceHandlers {
  /// Tells the changes of a clinician's patients since a token, then each as it is committed. Rules: DOMAIN 11.
  func watchPatients(
    _ request: PatientV1.WatchPatientsRequest, response: ResponseWriter<PatientV1.WatchPatientsResponse>,
    context: ServerContext
  ) async throws {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: try context.principal, roles: [.clinician, .delegate, .service],
      errors: errors, violations: &violations)
    guard scope.linkedIdentity == nil else { throw errors.roleNotAllowed() }
    let heartbeat = violations.heartbeatInterval(request.heartbeatInterval)
    try violations.check(errors: errors)
    var filters = request
    (filters.userId, filters.resumeToken, filters.heartbeatInterval) = (scope.userId, "", nil)
    let watch = try Watch<PatientV1.ResourceType>(
      scope: scope, heartbeat: heartbeat, resumeToken: request.resumeToken, filters: filters, context: context)
    try await feed.serve(watch) { try await response.write(PatientV1.WatchPatientsResponse($0)) }
  }
}

extension PatientV1.WatchPatientsResponse {
  fileprivate init(_ response: FeedResponse<PatientV1.ResourceType>) {
    self.init()
    changes = response.changes.map(PatientV1.ChangeEvent.init)
    resumeToken = response.resumeToken
    caughtUp = response.isCaughtUp
    readTime = .init(response.readTime)
  }
}

extension PatientV1.ChangeEvent {
  fileprivate init(_ change: FeedChange<PatientV1.ResourceType>) {
    self.init()
    sequence = change.sequence
    resourceType = change.kind
    resourceId = change.id
    userId = change.userId
    version = change.version
    operation =
      switch change.operation {
      case .created: .created
      case .updated: .updated
      case .deleted: .deleted
      }
    changedPaths = change.changedPaths
    commitTime = .init(change.committedAt)
  }
}
