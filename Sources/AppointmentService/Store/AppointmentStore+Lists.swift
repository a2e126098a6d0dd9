internal import CivilTime
internal import RPC
internal import ServiceCore
internal import Storage

/// Which appointments a list shows, and in which order; all conditions hold together (DOMAIN 7).
struct AppointmentListing: Sendable {
  var clinician: String
  /// `nil`: of all patients.
  var patient: String?
  /// Local dates, both inclusive; `nil`: no bound.
  var start: CivilDate?
  var end: CivilDate?
  /// One of these; `nil`: any.
  var statuses: Set<AppointmentStatus>?
  var types: Set<AppointmentType>?
  /// What a caller of role patient may see at an instant; `nil` for all other callers.
  var visibility: (patients: PatientVisibility, at: Instant)?
  var ascending = true

  func matches(_ record: AppointmentRecord) -> Bool {
    record.clinician == clinician && patient.map { $0 == record.patient } ?? true
      && statuses?.contains(record.status) ?? true && types?.contains(record.type) ?? true
      && visibility.map { $0.patients.allow(record, at: $0.at) } ?? true
  }

  /// Whether the index may give what does not match.
  private var isSelective: Bool { statuses != nil || types != nil || visibility != nil }

  /// - Parameter wanted: how many matches are still looked for.
  fileprivate func limit(wanted: Int) -> Int { isSelective ? max(wanted, AppointmentStore.listBatch) : wanted }

  fileprivate var query: Query {
    Query(
      Tables.appointments, index: patient == nil ? "order-index" : "patient-order-index",
      partition: patient ?? clinician, sortKey: range, ascending: ascending, limit: StoreLimits.queryItems)
  }

  /// Order keys begin with the date and a `T`, which sorts before `~`.
  private var range: Query.SortKey {
    switch (start, end) {
    case (nil, nil): .any
    case (let start?, nil): .atLeast(start.description)
    case (nil, let end?): .atMost("\(end)T~")
    case (let start?, let end?): .between(start.description, "\(end)T~")
    }
  }
}

/// A place in the order of appointments.
struct AppointmentPosition: Sendable, Hashable {
  var orderKey: String
  var id: String
}

/// An appointment to come.
struct UpcomingAppointment: Sendable, Hashable {
  var id: String
  var start: Instant
}

extension AppointmentStore {
  /// Items that one query of a filtered list reads.
  static let listBatch = 250
  /// Queries of one call at most: with few matches a page may be short, even empty, and yet have a next one.
  static let listQueries = 8
  /// Stored bytes after which a page ends, so that a response stays well below 4 MiB whatever its notes.
  static let listBytes = 1024 * 1024

  /// At most `limit` matches after a place, and the place from which the list goes on if it does.
  func list(
    _ listing: AppointmentListing, after position: AppointmentPosition?, limit: Int
  ) async throws(RPCError) -> (records: [AppointmentRecord], next: AppointmentPosition?) {
    try await reading { () async throws(StoreError) in
      var records: [AppointmentRecord] = []
      var bytes = 0
      var query = listing.query
      query.exclusiveStart = position.map {
        .init(sortKey: $0.orderKey, item: AppointmentItem.key($0.id, clinician: listing.clinician))
      }
      for _ in 0..<Self.listQueries {
        query.limit = listing.limit(wanted: limit + 1 - records.count)
        let page = try await tables.query(query)
        for item in page.items {
          let record = try AppointmentItem.record(item)
          guard listing.matches(record) else { continue }
          // One more match than fits tells that there is a next page.
          if records.count == limit || bytes >= Self.listBytes {
            return (records, records.last.map { AppointmentPosition($0) })
          }
          records.append(record)
          bytes += item.byteCount
        }
        query.exclusiveStart = page.next
        if page.next == nil { break }
      }
      return (
        records, query.exclusiveStart.map { AppointmentPosition(orderKey: $0.sortKey, id: $0.item.partition) }
      )
    }
  }

  /// How many match in all; reads each of the index's range.
  func count(_ listing: AppointmentListing) async throws(RPCError) -> Int {
    var count = 0
    try await forEach(listing) { _ in count += 1 }
    return count
  }

  /// The first appointments of a patient that are to come and take time, in the order of time, and how many there are
  /// in all. Of the others nothing is kept in memory.
  func upcoming(
    of patient: String, clinician: String, at now: Instant, limit: Int
  ) async throws(RPCError) -> (first: [UpcomingAppointment], total: Int) {
    // No zone's local date is more than a day behind the UTC date.
    let today = now.utcDayNumber
    let listing = AppointmentListing(clinician: clinician, patient: patient, start: CivilDate(dayNumber: today - 1))
    var first: [UpcomingAppointment] = []
    var total = 0
    func trim() {
      first.sort { ($0.start, $0.id) < ($1.start, $1.id) }
      first.removeLast(max(0, first.count - limit))
    }
    try await forEach(listing) { record in
      guard record.isCancellable(at: now) else { return }
      total += 1
      first.append(UpcomingAppointment(id: record.id, start: record.slot.start))
      if first.count >= 2 * limit { trim() }
    }
    trim()
    return (first, total)
  }

  private func forEach(
    _ listing: AppointmentListing, _ body: (AppointmentRecord) -> Void
  ) async throws(RPCError) {
    try await reading { () async throws(StoreError) in
      var query = listing.query
      repeat {
        let page = try await tables.query(query)
        for item in page.items {
          let record = try AppointmentItem.record(item)
          if listing.matches(record) { body(record) }
        }
        query.exclusiveStart = page.next
      } while query.exclusiveStart != nil && !Task.isCancelled
    }
    if Task.isCancelled { throw RPCError(.cancelled, "The call was cancelled.") }
  }
}

extension AppointmentPosition {
  fileprivate init(_ record: AppointmentRecord) {
    self.init(orderKey: AppointmentItem.orderKey(of: record), id: record.id)
  }
}

extension AppointmentRecord {
  /// Whether CancelPatientAppointments takes it: scheduled or confirmed, and not yet begun.
  func isCancellable(at now: Instant) -> Bool {
    (status == .scheduled || status == .confirmed) && slot.start > now
  }
}
