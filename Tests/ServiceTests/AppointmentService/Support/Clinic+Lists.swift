import CivilTime
import Contract
import Identity
import MemoryEngine
import RPC
import ServiceCore
import Storage
import Synchronization

@testable import AppointmentService

extension Clinic {
  static let other = Principal(id: "clinician-2", role: .clinician)
  static let delegate = Principal(id: "delegate-1", role: .delegate, actsFor: [Clinic.clinician])

  func list(
    as principal: Principal? = nil, path: String = "/test",
    _ adjust: (inout AppointmentV1.ListAppointmentsRequest) -> Void = { _ in }
  ) async throws -> AppointmentV1.ListAppointmentsResponse {
    var request = AppointmentV1.ListAppointmentsRequest()
    adjust(&request)
    let context = principal.map { self.context($0, path: path) } ?? self.context(path: path)
    return try await handlers.listAppointments(request, context: context)
  }

  /// All pages; `between` runs after each.
  func walk(
    size: Int32, as principal: Principal? = nil,
    _ adjust: (inout AppointmentV1.ListAppointmentsRequest) -> Void = { _ in },
    between: () async throws -> Void = {}
  ) async throws -> [AppointmentV1.Appointment] {
    var all: [AppointmentV1.Appointment] = []
    var token = ""
    repeat {
      let page = try await list(as: principal) {
        adjust(&$0)
        $0.pageSize = size
        $0.pageToken = token
      }
      all += page.appointments
      token = page.nextPageToken
      try await between()
    } while !token.isEmpty
    return all
  }

  /// A stored record to make others from.
  func template() async throws -> AppointmentRecord {
    let made = try await create(appointment("2025-12-02", "08:00"))
    guard let record = try await handlers.store.appointment(made.id, clinician: Clinic.clinician) else {
      throw NoFailure()
    }
    return record
  }

  /// Puts records into the store as they are, past all rules.
  func put(_ records: [AppointmentRecord]) async throws {
    for start in stride(from: 0, to: records.count, by: 100) {
      try await store.transact(
        records[start..<min(records.count, start + 100)].map {
          .put(AppointmentItem.item($0), in: Tables.appointments)
        })
    }
  }
}

extension AppointmentRecord {
  /// Another appointment like this one, so many quarters of an hour after 2026-01-01 00:00 UTC, which is its zone.
  func copy(quarter: Int, id: String? = nil) -> AppointmentRecord {
    var copy = self
    copy.id = id ?? ResourceID(random: .system).description
    copy.slot.timeZone = "UTC"
    copy.slot.start = Instant(seconds: 1_767_225_600 + Int64(quarter) * 900)
    copy.slot.date = CivilDate(dayNumber: 20_454 + quarter / 96) ?? copy.slot.date
    copy.slot.time = CivilTimeOfDay(Self.clock(quarter % 96)) ?? copy.slot.time
    return copy
  }

  private static func clock(_ quarter: Int) -> String {
    func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(digits(quarter / 4)):\(digits(quarter % 4 * 15))"
  }
}

/// A store that goes away after so many transactions.
final class FailingStore: JournaledStore {
  private let base: MemoryStore
  private let left: Mutex<Int>

  init(_ base: MemoryStore, transactions: Int) {
    self.base = base
    left = Mutex(transactions)
  }

  func get(_ key: ItemKey, from table: TableSchema) async throws(StoreError) -> Item? {
    try await base.get(key, from: table)
  }

  func batchGet(_ keys: [ItemKey], from table: TableSchema) async throws(StoreError) -> [Item] {
    try await base.batchGet(keys, from: table)
  }

  func query(_ query: Query) async throws(StoreError) -> Page { try await base.query(query) }

  func transact(_ writes: [Write]) async throws(StoreError) {
    let mayGoOn = left.withLock { left in
      left -= 1
      return left >= 0
    }
    guard mayGoOn else { throw .unavailable("gone") }
    try await base.transact(writes)
  }
}

extension FailingStore {
  var commits: CommitSignal { base.commits }

  func changes(after sequence: Int64, limit: Int) async throws(StoreError) -> [CommittedTransaction] {
    try await base.changes(after: sequence, limit: limit)
  }

  func changes(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int
  ) async throws(StoreError) -> JournalPage? {
    try await base.changes(after: position, matching: filter, limit: limit)
  }

  func journalBounds() async throws(StoreError) -> ClosedRange<Int64>? { try await base.journalBounds() }

  func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int {
    try await base.pruneJournal(before: time, limit: limit)
  }
}
