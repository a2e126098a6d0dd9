internal import Contract
internal import RPC
internal import ServiceCore
internal import StandardProtos

/// The feed of a clinician's appointments and time blocks.
typealias AppointmentFeed = ChangeFeed<AppointmentV1.ResourceType>

extension AppointmentHandlers {
  /// Tells the changes of a clinician's appointments and time blocks since a token, then each as it is committed.
  /// Rules: DOMAIN 11.
  func watchAppointments(
    _ request: AppointmentV1.WatchAppointmentsRequest,
    response: ResponseWriter<AppointmentV1.WatchAppointmentsResponse>, context: ServerContext
  ) async throws {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: try context.principal, roles: [.clinician, .delegate, .service],
      errors: errors, violations: &violations)
    guard scope.linkedIdentity == nil else { throw errors.roleNotAllowed() }
    let heartbeat = violations.heartbeatInterval(request.heartbeatInterval)
    let kinds = violations.filter(request.resourceTypes, at: "resource_types") { $1.resourceType($0, at: $2) }
    try violations.check(errors: errors)
    var filters = request
    (filters.userId, filters.resumeToken, filters.heartbeatInterval) = (scope.userId, "", nil)
    filters.resourceTypes = (kinds ?? []).sorted { $0.rawValue < $1.rawValue }
    let watch = try Watch(
      scope: scope, kinds: kinds, heartbeat: heartbeat, resumeToken: request.resumeToken, filters: filters,
      context: context)
    try await feed.serve(watch) { try await response.write(AppointmentV1.WatchAppointmentsResponse($0)) }
  }
}

extension FieldViolations {
  fileprivate mutating func resourceType(
    _ type: AppointmentV1.ResourceType, at field: String
  ) -> AppointmentV1.ResourceType? {
    if type.isKnown, type != .unspecified { return type }
    add(.outOfRange, at: field, "There is no such type of resource.")
    return nil
  }
}

extension AppointmentV1.WatchAppointmentsResponse {
  fileprivate init(_ response: FeedResponse<AppointmentV1.ResourceType>) {
    self.init()
    changes = response.changes.map(AppointmentV1.ChangeEvent.init)
    resumeToken = response.resumeToken
    caughtUp = response.isCaughtUp
    readTime = .init(response.readTime)
  }
}

extension AppointmentV1.ChangeEvent {
  fileprivate init(_ change: FeedChange<AppointmentV1.ResourceType>) {
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
