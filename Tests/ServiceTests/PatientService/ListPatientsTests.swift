import Contract
import Identity
import ServiceCore
import ServiceTestSupport
import Testing

@testable import PatientService

@Suite("ListPatients and SearchPatients (DOMAIN 7)")
struct ListPatientsTests {
  private func list(
    in fixture: PatientFixture, by principal: Principal = PatientFixture.clinician,
    edit: (inout PatientV1.ListPatientsRequest) -> Void = { _ in }
  ) async throws -> PatientV1.ListPatientsResponse {
    var request = PatientV1.ListPatientsRequest()
    edit(&request)
    return try await fixture.handlers.listPatients(request, context: .forTest(by: principal, path: "/p/ListPatients"))
  }

  /// All pages; `between` runs after each.
  private func walk(
    in fixture: PatientFixture, size: Int32, edit: (inout PatientV1.ListPatientsRequest) -> Void = { _ in },
    between: ([PatientV1.Patient]) async throws -> Void = { _ in }
  ) async throws -> [PatientV1.Patient] {
    var all: [PatientV1.Patient] = []
    var token = ""
    repeat {
      let page = try await list(in: fixture) {
        edit(&$0)
        $0.pageSize = size
        $0.pageToken = token
      }
      #expect(page.patients.count <= size)
      all += page.patients
      token = page.nextPageToken
      try await between(all)
    } while !token.isEmpty
    return all
  }

  /// Names in the order of (fold(last), fold(first)).
  private static let names = [
    ("Ålborg", "Zoë"), ("alborg", "zz"), ("Müller", "Ann"), ("Muller", "Ben"), ("MÜLLER", "Carl"), ("O'Brien", "X"),
    ("van Dyk", "A"), ("VanDyk", "A"), ("Żuk", "A"),
  ]

  private func populated() async throws -> PatientFixture {
    let fixture = try PatientFixture()
    var random = RandomSource.seeded(3)
    for (last, first) in Self.names.shuffled(using: &random) {
      _ = try await fixture.create(
        .valid {
          $0.lastName = last
          $0.firstName = first
        })
    }
    _ = try await fixture.create(by: PatientFixture.otherClinician)
    return fixture
  }

  @Test(
    "patients come by folded last and first name, once each, whatever the page size", arguments: [1, 2, 4, 8, 9, 10])
  func order(size: Int32) async throws {
    let fixture = try await populated()
    let up = try await walk(in: fixture, size: size)
    #expect(up.map { "\($0.lastName) \($0.firstName)" } == Self.names.map { "\($0.0) \($0.1)" })
    let down = try await walk(in: fixture, size: size) { $0.order = .descending }
    #expect(down.map(\.id) == up.map(\.id).reversed())
  }

  @Test("patients of equal names are ordered by id")
  func equalNames() async throws {
    let fixture = try PatientFixture()
    for _ in 0..<7 { _ = try await fixture.create() }
    let ids = try await walk(in: fixture, size: 2).map(\.id)
    #expect(ids == ids.sorted() && Set(ids).count == 7)
  }

  @Test("active patients are listed unless others are asked for")
  func statuses() async throws {
    let fixture = try await populated()
    let muller = try await list(in: fixture).patients[2].id
    try await fixture.change(muller) { $0.status = .inactive }
    #expect(try await list(in: fixture).patients.count == 8)
    #expect(try await list(in: fixture) { $0.status = .inactive }.patients.map(\.id) == [muller])
    #expect(try await list(in: fixture) { $0.status = .active }.patients.count == 8)
    for size in Int32(1)...10 {
      let all = try await walk(in: fixture, size: size) { $0.showInactive = true }
      #expect(all.map { "\($0.lastName) \($0.firstName)" } == Self.names.map { "\($0.0) \($0.1)" })
    }
    let error = await status { _ = try await list(in: fixture) { $0.status = .init(rawValue: 7) } }
    #expect(error?.violations == ["status OUT_OF_RANGE"])
  }

  @Test("who changes status while the pages are read is seen exactly once", arguments: [1, 2, 3])
  func statusChanges(size: Int32) async throws {
    let fixture = try await populated()
    let all = try await walk(in: fixture, size: size, edit: { $0.showInactive = true }) { seen in
      for id in try await list(in: fixture, edit: { $0.showInactive = true }).patients.map(\.id) {
        try await fixture.change(id) { $0.status = seen.count.isMultiple(of: 2) ? .inactive : .active }
      }
    }
    #expect(all.map { "\($0.lastName) \($0.firstName)" } == Self.names.map { "\($0.0) \($0.1)" })
  }

  @Test("new patients elsewhere cause no duplicate and no gap", arguments: [1, 3])
  func insertions(size: Int32) async throws {
    let fixture = try await populated()
    let before = try await list(in: fixture).patients.map(\.id)
    var count = 0
    let all = try await walk(
      in: fixture, size: size,
      between: { _ in
        count += 1
        guard count < 6 else { return }
        for last in ["Aaa", "Muller", "Zzz"] { _ = try await fixture.create(.valid { $0.lastName = last }) }
      })
    #expect(Set(all.map(\.id)).count == all.count)
    #expect(Set(before).isSubset(of: all.map(\.id)))
  }

  @Test("the total is exact, and only told when asked for")
  func totals() async throws {
    let fixture = try await populated()
    let page = try await list(in: fixture) {
      $0.pageSize = 2
      $0.includeTotalSize = true
    }
    #expect(page.patients.count == 2 && page.totalSize == 9)
    #expect(try await list(in: fixture).totalSize == nil)
  }

  @Test("a token is bound to caller and filters, not to the page size")
  func tokens() async throws {
    let fixture = try await populated()
    let token = try await list(in: fixture) { $0.pageSize = 2 }.nextPageToken
    #expect(
      try await list(in: fixture) {
        $0.pageSize = 3
        $0.pageToken = token
      }.patients.map(\.lastName) == ["Müller", "Muller", "MÜLLER"])
    let misuses: [(Principal, (inout PatientV1.ListPatientsRequest) -> Void)] = [
      (PatientFixture.otherClinician, { _ in }), (PatientFixture.clinician, { $0.showInactive = true }),
      (PatientFixture.clinician, { $0.order = .descending }), (PatientFixture.clinician, { $0.pageToken += "A" }),
      (PatientFixture.delegate, { $0.userId = "clinician-1" }),
    ]
    for (principal, misuse) in misuses {
      let error = await status {
        _ = try await list(in: fixture, by: principal) {
          $0.pageToken = token
          misuse(&$0)
        }
      }
      #expect(error?.violations == ["page_token PAGE_TOKEN_INVALID"])
    }
  }

  @Test("page sizes: 0 is 50, more than 200 is 200, negative is refused")
  func pageSizes() async throws {
    let fixture = try PatientFixture()
    for _ in 0..<201 { _ = try await fixture.create() }
    #expect(try await list(in: fixture).patients.count == 50)
    #expect(try await list(in: fixture) { $0.pageSize = 1000 }.patients.count == 200)
    let error = await status { _ = try await list(in: fixture) { $0.pageSize = -1 } }
    #expect(error?.violations == ["page_size OUT_OF_RANGE"])
  }

  // MARK: SearchPatients

  private func search(
    _ prefix: String, in fixture: PatientFixture,
    edit: (inout PatientV1.SearchPatientsRequest) -> Void = { _ in }
  ) async throws -> PatientV1.SearchPatientsResponse {
    var request = PatientV1.SearchPatientsRequest()
    request.lastNamePrefix = prefix
    edit(&request)
    return try await fixture.handlers.searchPatients(
      request, context: .forTest(by: PatientFixture.clinician, path: "/p/SearchPatients"))
  }

  @Test(
    "a prefix is compared folded; wildcards are literal",
    arguments: [
      ("mül", ["Müller", "Muller", "MÜLLER"]), ("MULLER", ["Müller", "Muller", "MÜLLER"]), ("o-b", ["O'Brien"]),
      ("van d", ["van Dyk"]), ("v", ["van Dyk", "VanDyk"]), ("Å", ["Ålborg", "alborg"]), ("ź", ["Żuk"]), ("%", []),
      ("*", []), ("m_l", []), ("mullerx", []),
    ])
  func prefixes(prefix: String, names: [String]) async throws {
    let fixture = try await populated()
    #expect(try await search(prefix, in: fixture).patients.map(\.lastName) == names)
  }

  @Test("a search covers active patients unless asked otherwise, and has pages")
  func searchStatuses() async throws {
    let fixture = try await populated()
    let found = try await search("mul", in: fixture).patients.map(\.id)
    try await fixture.change(found[1]) { $0.status = .inactive }
    #expect(try await search("mul", in: fixture).patients.map(\.id) == [found[0], found[2]])
    let first = try await search("mul", in: fixture) {
      $0.showInactive = true
      $0.pageSize = 2
      $0.includeTotalSize = true
    }
    #expect(first.patients.map(\.id) == Array(found.prefix(2)) && first.totalSize == 3)
    let second = try await search("mul", in: fixture) {
      $0.showInactive = true
      $0.pageToken = first.nextPageToken
      $0.includeTotalSize = true
    }
    #expect(second.patients.map(\.id) == [found[2]] && second.nextPageToken.isEmpty)
  }

  @Test(
    "a prefix needs something that is compared, at most 100 characters",
    arguments: [
      ("", "REQUIRED"), ("  ", "MALFORMED"), ("-.'", "MALFORMED"), (String(repeating: "a", count: 101), "TOO_LONG"),
    ])
  func badPrefixes(prefix: String, reason: String) async throws {
    let fixture = try PatientFixture()
    let error = await status { _ = try await search(prefix, in: fixture) }
    #expect(error?.violations == ["last_name_prefix \(reason)"])
    #expect(try await search(String(repeating: "a", count: 100), in: fixture).patients.isEmpty)
  }
}
