internal import RPC
internal import Storage

/// One entry of an appointment's history, of any kind.
enum AppointmentHistoryEntry: Sendable, Hashable {
  case status(HistoryEntry<StatusChange>)
  case notes(HistoryEntry<NotesChange>)
  case reschedule(HistoryEntry<RescheduleChange>)

  var sequence: Int64 {
    switch self {
    case .status(let entry): entry.sequence
    case .notes(let entry): entry.sequence
    case .reschedule(let entry): entry.sequence
    }
  }

  var kind: HistoryItem.Kind {
    switch self {
    case .status: .status
    case .notes: .notes
    case .reschedule: .reschedule
    }
  }

  /// About what it takes in a response.
  fileprivate var byteCount: Int {
    if case .notes(let entry) = self { 256 + entry.change.notes.utf8.count } else { 1024 }
  }
}

/// Which entries of a history a list shows, and in which order.
struct HistoryListing: Sendable {
  /// `nil`: any.
  var kinds: Set<HistoryItem.Kind>?
  /// Entries beyond this one only.
  var after: Int64?
  var ascending = true

  fileprivate func shows(_ entry: AppointmentHistoryEntry) -> Bool { kinds?.contains(entry.kind) ?? true }

  /// The sequences that are left of a history with so many entries; may be empty.
  fileprivate func range(count: Int64) -> Range<Int64> {
    let end = max(1, count + 1)
    guard let after else { return 1..<end }
    return ascending ? min(max(1, after + 1), end)..<end : 1..<min(max(1, after), end)
  }

  fileprivate func isBefore(_ lhs: Int64, _ rhs: Int64) -> Bool { ascending ? lhs < rhs : lhs > rhs }
}

extension AppointmentStore {
  /// At most `limit` entries of an appointment's history, both of those it carries and of those that are items of their
  /// own, and the sequence after which the list goes on if it does.
  ///
  /// - Parameter record: read before: what another writer has moved out of it since is found twice, and shown once.
  func history(
    of record: AppointmentRecord, _ listing: HistoryListing, limit: Int
  ) async throws(RPCError) -> (entries: [AppointmentHistoryEntry], next: Int64?) {
    let range = listing.range(count: record.histories.count)
    guard !range.isEmpty else { return ([], nil) }
    let spilled = try await spilledHistory(of: record, in: range, listing, limit: limit)

    var bySequence: [Int64: AppointmentHistoryEntry] = [:]
    for entry in spilled.entries { bySequence[entry.sequence] = entry }
    for entry in record.histories.all where range.contains(entry.sequence) && listing.shows(entry) {
      bySequence[entry.sequence] = entry
    }
    if let horizon = spilled.horizon {
      bySequence = bySequence.filter { !listing.isBefore(horizon, $0.key) }
    }
    let found = bySequence.values.sorted { listing.isBefore($0.sequence, $1.sequence) }
    var bytes = 0
    let page = found.prefix(limit).prefix { entry in
      defer { bytes += entry.byteCount }
      return bytes < Self.listBytes
    }
    return (Array(page), page.count < found.count ? page.last?.sequence : spilled.horizon)
  }

  /// Matching entries that are items of their own: more than `limit`, or up to `horizon`, or all.
  private func spilledHistory(
    of record: AppointmentRecord, in range: Range<Int64>, _ listing: HistoryListing, limit: Int
  ) async throws(RPCError) -> (entries: [AppointmentHistoryEntry], horizon: Int64?) {
    func sort(_ sequence: Int64) -> String {
      HistoryItem.key(appointment: record.id, clinician: record.clinician, sequence: sequence).sort
    }
    return try await reading { () async throws(StoreError) in
      var entries: [AppointmentHistoryEntry] = []
      var last: Int64?
      var query = Query(
        Tables.appointments, partition: HistoryItem.partition(appointment: record.id),
        sortKey: .between(sort(range.lowerBound), sort(range.upperBound - 1)), ascending: listing.ascending,
        limit: limit + 1)
      for _ in 0..<Self.listQueries {
        let page = try await tables.query(query)
        for item in page.items {
          let entry = try HistoryItem.entry(item)
          last = entry.sequence
          if listing.shows(entry) { entries.append(entry) }
        }
        query.exclusiveStart = page.next
        if page.next == nil { return (entries, nil) }
        if entries.count > limit { break }
      }
      return (entries, last)
    }
  }
}

extension AppointmentRecord.Histories {
  fileprivate var all: [AppointmentHistoryEntry] {
    status.map(AppointmentHistoryEntry.status) + notes.map(AppointmentHistoryEntry.notes)
      + reschedules.map(AppointmentHistoryEntry.reschedule)
  }
}
