internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

extension TimeBlockHandlers {
  /// The longest window (DOMAIN 5).
  static let maxWindowDays = 366

  /// Lists the occurrences of time blocks in a window of local dates, each block's in its own zone.
  func listTimeBlocks(
    _ request: AppointmentV1.ListTimeBlocksRequest, context: ServerContext
  ) async throws -> AppointmentV1.ListTimeBlocksResponse {
    let principal = try context.principal
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: request.userId, principal: principal, errors: errors, violations: &violations)
    let size = violations.pageSize(request.pageSize)
    let window = request.window(&violations)
    let types = request.types(&violations)
    var filters = request
    filters.pageToken = ""
    filters.pageSize = 0
    let binding = try PageTokens.Binding(method: context.path, principal: principal, filters: filters)
    let position = violations.occurrencePosition(request.pageToken, tokens: pageTokens, binding: binding)
    if !SortOrder.allowed.contains(request.order) {
      violations.add(.outOfRange, at: "order", "There is no such order.")
    }
    try violations.check(errors: errors)
    guard let window else { throw errors.internalFault() }

    let blocks = try await store.liveBlocks(of: scope.userId, from: window.lowerBound)
      .filter { types.isEmpty || types.contains($0.type) }
    let list = try OccurrenceList(
      blocks: blocks.map { ($0, try zone(of: $0.rule)) }, window: window, descending: request.order == .descending)
    var occurrences = list.next(size + 1, after: position)
    var response = AppointmentV1.ListTimeBlocksResponse()
    if occurrences.count > size {
      occurrences.removeLast()
      response.nextPageToken = try pageTokens.seal(occurrences.last?.position.parts ?? [], binding: binding)
    }
    var seen: Set<String> = []
    let ids = occurrences.map(\.position.id).filter { seen.insert($0).inserted }
    // A block that was deleted meanwhile occurs no more.
    let records = try await store.timeBlocks(ids, clinician: scope.userId)
    response.timeBlocks = ids.compactMap { records[$0] }.map { AppointmentV1.TimeBlock($0) }
    response.occurrences = occurrences.filter { records[$0.position.id] != nil }.map(\.message)
    return response
  }
}

private enum SortOrder {
  static let allowed: Set<AppointmentV1.SortOrder> = [.unspecified, .ascending, .descending]
}

extension AppointmentV1.ListTimeBlocksRequest {
  /// The dates from `start_date` to `end_date`; `nil` after having noted what is wrong with them.
  fileprivate func window(_ violations: inout FieldViolations) -> ClosedRange<CivilDate>? {
    func date(_ text: String, _ field: String) -> CivilDate? {
      SlotFields(date: text, time: "", duration: 0, timeZone: "", fold: .unspecified, defaultDuration: nil)
        .checkedDate(at: field, &violations)
    }
    let (first, last) = (date(startDate, "start_date"), date(endDate, "end_date"))
    guard let start = first, let end = last else { return nil }
    guard start <= end else {
      violations.add(.outOfRange, at: "end_date", "It must not be before the start date.")
      return nil
    }
    guard end.dayNumber - start.dayNumber < TimeBlockHandlers.maxWindowDays else {
      violations.add(.outOfRange, at: "end_date", "A window has at most \(TimeBlockHandlers.maxWindowDays) days.")
      return nil
    }
    return start...end
  }

  fileprivate func types(_ violations: inout FieldViolations) -> Set<TimeBlockType> {
    var known: Set<TimeBlockType> = []
    for (index, type) in types.enumerated() {
      if let type = TimeBlockType(type) {
        known.insert(type)
      } else {
        violations.add(.outOfRange, at: "types[\(index)]", "There is no such type.")
      }
    }
    return known
  }
}

extension FieldViolations {
  fileprivate mutating func occurrencePosition(
    _ token: String, tokens: PageTokens, binding: PageTokens.Binding
  ) -> BlockOccurrence.Position? {
    guard let parts = pagePosition(token, tokens: tokens, binding: binding) else { return nil }
    guard let position = BlockOccurrence.Position(parts) else {
      add(.pageTokenInvalid, at: "page_token", "It is not a page token of this list and caller.")
      return nil
    }
    return position
  }
}

extension BlockOccurrence {
  fileprivate var message: AppointmentV1.TimeBlockOccurrence {
    var message = AppointmentV1.TimeBlockOccurrence()
    message.timeBlockId = position.id
    message.date = position.date.description
    message.intervals = intervals.compactMap { AppointmentV1.TimeInterval($0) }
    return message
  }
}
