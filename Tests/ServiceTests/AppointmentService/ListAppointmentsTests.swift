import CivilTime
import Contract
import Identity
import ServiceCore
import StandardProtos
import Storage
import TestSupport
import Testing

@testable import AppointmentService

@Suite("ListAppointments (DOMAIN 7)")
struct ListAppointmentsTests {
  static let otherPatient = "550e8400-e29b-41d4-a716-446655440001"
  static let portal = Principal(id: "cognito-1", role: .patient)

  /// Local date, time, type and status of what is booked, in the order of lists.
  private static let bookings: [(String, String, AppointmentV1.AppointmentType, AppointmentV1.AppointmentStatus)] = [
    ("2025-12-09", "23:00", .followUp, .scheduled), ("2025-12-10", "00:00", .urgent, .confirmed),
    ("2025-12-10", "09:00", .followUp, .cancelled), ("2025-12-10", "14:00", .consultation, .completed),
    ("2025-12-11", "08:00", .followUp, .noShow), ("2025-12-11", "12:00", .procedure, .scheduled),
    ("2025-12-12", "10:00", .urgent, .scheduled),
  ]

  /// The bookings, made in another order; the odd ones are of another patient.
  private func populated() async throws -> Clinic {
    let clinic = Clinic()
    var random = SeededGenerator(seed: 7)
    for index in Self.bookings.indices.shuffled(using: &random) {
      let (date, time, type, status) = Self.bookings[index]
      var asked = clinic.appointment(date, time, type: type)
      asked.notes = "not for patients"
      if !index.isMultiple(of: 2) { asked.patientId = Self.otherPatient }
      let made = try await clinic.create(asked)
      if status != .scheduled { try await clinic.change(made.id, to: status, reason: "r") }
    }
    try await clinic.create(clinic.appointment("2025-12-10", "09:00"), as: Clinic.other)
    return clinic
  }

  private func places(_ appointments: [AppointmentV1.Appointment]) -> [Int] {
    appointments.map { one in Self.bookings.firstIndex { $0.0 == one.date && $0.1 == one.time } ?? -1 }
  }

  @Test(
    "order: local date and time, both directions, once each, whatever the page size", arguments: [1, 2, 3, 6, 7, 8])
  func order(size: Int32) async throws {
    let clinic = try await populated()
    #expect(places(try await clinic.walk(size: size)) == [0, 1, 2, 3, 4, 5, 6])
    #expect(places(try await clinic.walk(size: size) { $0.order = .descending }) == [6, 5, 4, 3, 2, 1, 0])
  }

  @Test("order: equal date and time are ordered by id; a full last page has no token")
  func ties() async throws {
    let clinic = Clinic()
    let record = try await clinic.template()
    try await clinic.put((0..<8).map { _ in record.copy(quarter: 1) })
    let ids = try await clinic.walk(size: 3) { $0.startDate = "2026-01-01" }.map(\.id)
    #expect(ids == ids.sorted() && Set(ids).count == 8)
    let whole = try await clinic.list {
      $0.startDate = "2026-01-01"
      $0.pageSize = 8
    }
    #expect(whole.appointments.count == 8 && whole.nextPageToken.isEmpty)
  }

  typealias Filter = @Sendable (inout AppointmentV1.ListAppointmentsRequest) -> Void
  static let filters: [(String, Filter, [Int])] = [
    ("both dates are inclusive", { ($0.startDate, $0.endDate) = ("2025-12-10", "2025-12-11") }, [1, 2, 3, 4, 5]),
    ("a single day", { ($0.startDate, $0.endDate) = ("2025-12-10", "2025-12-10") }, [1, 2, 3]),
    ("only a start", { $0.startDate = "2025-12-11" }, [4, 5, 6]),
    ("only an end", { $0.endDate = "2025-12-09" }, [0]),
    ("statuses are alternatives", { $0.statuses = [.completed, .noShow, .completed] }, [3, 4]),
    ("types are alternatives", { $0.types = [.urgent, .procedure] }, [1, 5, 6]),
    ("a patient, in either letter case", { $0.patientId = otherPatient.uppercased() }, [1, 3, 5]),
    ("an unknown patient", { $0.patientId = "550e8400-e29b-41d4-a716-446655440009" }, []),
    (
      "all together",
      {
        ($0.startDate, $0.endDate, $0.patientId) = ("2025-12-10", "2025-12-11", otherPatient)
        ($0.statuses, $0.types) = ([.scheduled, .confirmed], [.urgent, .consultation])
      }, [1]
    ),
  ]

  @Test("filters combine with AND, repeated values with OR; the total counts what matches", arguments: filters)
  func filter(name: String, filter: Filter, expected: [Int]) async throws {
    let clinic = try await populated()
    for size in [Int32(1), 2, 50] { #expect(places(try await clinic.walk(size: size, filter)) == expected) }
    let page = try await clinic.list {
      filter(&$0)
      $0.pageSize = 1
      $0.includeTotalSize = true
    }
    #expect(page.totalSize == Int32(expected.count))
    #expect(try await clinic.list(filter).totalSize == nil)
  }

  @Test("DOMAIN 8: all violations are told at once")
  func violations() async throws {
    let clinic = Clinic()
    let error = try await failure {
      try await clinic.list {
        ($0.patientId, $0.startDate, $0.endDate, $0.pageSize) = ("x", "2025-02-29", "10.12.2025", -1)
        ($0.statuses, $0.types, $0.order) = ([.scheduled, .unspecified], [.init(rawValue: 99)], .init(rawValue: 9))
        $0.readMask = GoogleProtobuf.FieldMask()
        $0.readMask?.paths = ["colour"]
        $0.pageToken = "x"
      }
    }
    #expect(
      error.fields == [
        "patient_id MALFORMED", "start_date MALFORMED", "end_date MALFORMED", "statuses[1] REQUIRED",
        "types[0] OUT_OF_RANGE", "order OUT_OF_RANGE", "page_size OUT_OF_RANGE", "read_mask.paths[0] UNKNOWN_FIELD",
        "page_token PAGE_TOKEN_INVALID",
      ])
    let reversed = try await failure {
      try await clinic.list { ($0.startDate, $0.endDate) = ("2025-12-11", "2025-12-10") }
    }
    #expect(reversed.fields == ["end_date OUT_OF_RANGE"])
  }

  @Test("page sizes: 0 is 50, more than 200 is 200", arguments: [(0, 50), (200, 200), (201, 200), (.max, 200)])
  func pageSize(asked: Int32, given: Int) async throws {
    let clinic = Clinic()
    let record = try await clinic.template()
    try await clinic.put((0..<201).map { record.copy(quarter: $0) })
    #expect(try await clinic.list { $0.pageSize = asked }.appointments.count == given)
  }

  @Test("a read mask leaves what it names, and the identity")
  func mask() async throws {
    let clinic = try await populated()
    let masked = try await clinic.list {
      $0.readMask = GoogleProtobuf.FieldMask()
      $0.readMask?.paths = ["date"]
    }
    let first = try #require(masked.appointments.first)
    #expect(first.date == "2025-12-09" && !first.etag.isEmpty && first.time.isEmpty && first.notes == nil)
  }

  @Test("a token is bound to method, caller, filters and order, not to the page size")
  func tokens() async throws {
    let clinic = try await populated()
    let token = try await clinic.list { $0.pageSize = 2 }.nextPageToken
    let rest = try await clinic.list { ($0.pageSize, $0.pageToken) = (3, token) }
    #expect(places(rest.appointments) == [2, 3, 4])
    let misuses: [(Principal?, String, Filter)] = [
      (Clinic.other, "/test", { _ in }), (Clinic.delegate, "/test", { $0.userId = Clinic.clinician }),
      (nil, "/another", { _ in }), (nil, "/test", { $0.order = .descending }),
      (nil, "/test", { $0.statuses = [.scheduled] }), (nil, "/test", { $0.types = [.urgent] }),
      (nil, "/test", { $0.startDate = "2025-12-10" }), (nil, "/test", { $0.patientId = Clinic.patient }),
      (nil, "/test", { $0.pageToken += "A" }),
    ]
    for (principal, path, misuse) in misuses {
      let error = try await failure {
        try await clinic.list(as: principal, path: path) {
          $0.pageToken = token
          misuse(&$0)
        }
      }
      #expect(error.fields == ["page_token PAGE_TOKEN_INVALID"])
    }
  }

  @Test("a call reads a bounded number of items: a page may be empty and have a next one")
  func boundedScan() async throws {
    let clinic = Clinic()
    let record = try await clinic.template()
    let bound = AppointmentStore.listQueries * AppointmentStore.listBatch
    var records = (0...bound).map { record.copy(quarter: $0) }
    records[bound].type = .urgent
    try await clinic.put(records)
    let first = try await clinic.list { $0.types = [.urgent] }
    #expect(first.appointments.isEmpty && !first.nextPageToken.isEmpty)
    #expect(try await clinic.walk(size: 10) { $0.types = [.urgent] }.map(\.id) == [records[bound].id])
  }

  @Test("a page of long notes ends early, so that no response grows beyond its limit")
  func boundedBytes() async throws {
    let clinic = Clinic()
    var record = try await clinic.template()
    record.notes = String(repeating: "n", count: 10_000)
    record.histories.notes = (1...10).map {
      HistoryEntry(
        sequence: $0, change: NotesChange(notes: String(repeating: "n", count: 10_000)), at: record.createdAt, by: "c")
    }
    try await clinic.put((0..<30).map { record.copy(quarter: $0) })
    let page = try await clinic.list { $0.pageSize = 200 }
    #expect((5..<20).contains(page.appointments.count) && !page.nextPageToken.isEmpty)
    #expect(try await clinic.walk(size: 200).count == 31)
  }

  @Test("DOMAIN 1: a patient sees what is to come or completed of linked records, redacted")
  func patients() async throws {
    let clinic = try await populated()
    func seen(_ filter: Filter = { _ in }) async throws -> [AppointmentV1.Appointment] {
      try await clinic.walk(size: 1, as: Self.portal) {
        $0.userId = Clinic.clinician
        filter(&$0)
      }
    }
    #expect(try await seen().isEmpty)
    clinic.directory.set { $0.linked = [Clinic.patient] }
    #expect(places(try await seen()) == [0, 6])
    #expect(places(try await seen { $0.patientId = Self.otherPatient }).isEmpty)
    #expect(try await seen { $0.statuses = [.cancelled] }.isEmpty)
    clinic.directory.set { $0.linked = [Clinic.patient, Self.otherPatient] }
    let both = try await seen()
    #expect(places(both) == [0, 1, 3, 5, 6])
    #expect(both.allSatisfy { $0.notes == nil && $0.notesHistory.isEmpty && $0.createdBy.isEmpty })
    let page = try await clinic.list(as: Self.portal) { ($0.userId, $0.includeTotalSize) = (Clinic.clinician, true) }
    #expect(page.totalSize == 5)
    clinic.directory.set { $0.failure = .unavailable(retryAfter: nil, cause: NoFailure()) }
    #expect(try await failure { try await seen() }.reason == "PATIENT_SERVICE_UNAVAILABLE")
  }

  @Test("DOMAIN 1: another clinician's partition is refused")
  func partitions() async throws {
    let clinic = try await populated()
    let error = try await failure { try await clinic.list { $0.userId = "clinician-2" } }
    #expect(error.reason == "PARTITION_NOT_ALLOWED")
    #expect(try await clinic.list(as: Clinic.other).appointments.count == 1)
  }

  @Test(
    "property: what stays is seen exactly once over the pages while others come and go",
    arguments: 1...12 as ClosedRange<UInt64>)
  func exactlyOnce(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let clinic = Clinic()
    let template = try await clinic.template()
    func some(_ count: Int, _ random: inout SeededGenerator) -> [AppointmentRecord] {
      (0..<count).map { _ in
        var one = template.copy(quarter: Int.random(in: 0..<300, using: &random))
        one.type = Bool.random(using: &random) ? .urgent : .followUp
        return one
      }
    }
    let kept = some(60, &random)
    var passing = some(60, &random)
    try await clinic.put(kept + passing)
    let descending = Bool.random(using: &random)
    let ofPatient = Bool.random(using: &random)
    let urgentOnly = Bool.random(using: &random)
    var pagesLeft = 40
    let seen = try await clinic.walk(size: Int32.random(in: 1...9, using: &random)) {
      $0.startDate = "2026-01-01"
      if descending { $0.order = .descending }
      if ofPatient { $0.patientId = Clinic.patient }
      if urgentOnly { $0.types = [.urgent] }
    } between: {
      pagesLeft -= 1
      guard pagesLeft > 0 else { return }
      let added = some(Int.random(in: 0...4, using: &random), &random)
      try await clinic.put(added)
      passing += added
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        guard let gone = passing.indices.randomElement(using: &random) else { break }
        let key = AppointmentItem.key(passing.remove(at: gone).id, clinician: Clinic.clinician)
        try await clinic.store.transact([.delete(key, in: Tables.appointments)])
      }
    }
    let order = seen.map { "\($0.date)T\($0.time)#\($0.id)" }
    #expect(order == (descending ? order.sorted(by: >) : order.sorted()))
    #expect(Set(order).count == order.count)
    let expected = Set(kept.filter { !urgentOnly || $0.type == .urgent }.map(\.id))
    #expect(expected.isSubset(of: seen.map(\.id)))
    #expect(!urgentOnly || seen.allSatisfy { $0.type == .urgent })
  }
}
