import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("DOMAIN 5 and 7: ListTimeBlocks")
struct TimeBlockListTests {
  private func list(
    _ clinic: Clinic, _ start: String, _ end: String, as principal: Principal? = nil,
    _ adjust: (inout AppointmentV1.ListTimeBlocksRequest) -> Void = { _ in }
  ) async throws -> AppointmentV1.ListTimeBlocksResponse {
    var request = AppointmentV1.ListTimeBlocksRequest()
    (request.startDate, request.endDate) = (start, end)
    adjust(&request)
    return try await clinic.blocks.listTimeBlocks(
      request, context: principal.map { clinic.context($0) } ?? clinic.context())
  }

  @Test("occurrences of the window with their instants; each block once; nothing where clocks skip it all")
  func window() async throws {
    let clinic = Clinic()
    let daily = try await clinic.blockID(clinic.block("2026-03-01", "02:00", "03:00") { $0.recur(.daily) })
    let once = try await clinic.blockID(clinic.block("2026-03-08", "01:00", "02:00"))
    try await clinic.createBlock(clinic.block("2026-03-06"))
    let answer = try await list(clinic, "2026-03-07", "2026-03-09")
    // Toronto's clocks go from 02:00 to 03:00 on 8 March 2026.
    #expect(
      answer.occurrences.map { "\($0.date) \($0.timeBlockId)" } == [
        "2026-03-07 \(daily)", "2026-03-08 \(once)", "2026-03-09 \(daily)",
      ])
    #expect(answer.timeBlocks.map(\.id) == [daily, once] && answer.nextPageToken.isEmpty)
    // 07:00Z is 02:00 at UTC−5, 06:00Z at UTC−4.
    #expect(
      answer.occurrences.map { $0.intervals.map { $0.startTime?.seconds } } == [
        [1_772_866_800], [1_772_949_600], [1_773_036_000],
      ])
    #expect(
      answer.occurrences.allSatisfy { occurrence in
        occurrence.intervals.allSatisfy { ($0.endTime?.seconds ?? 0) - ($0.startTime?.seconds ?? 0) == 3600 }
      })
  }

  @Test("pages in both orders join to the whole list", arguments: [1, 2, 3, 7, 200])
  func pages(size: Int32) async throws {
    let clinic = Clinic()
    for hour in 10..<13 {
      try await clinic.createBlock(clinic.block("2025-12-10", "\(hour):00", "\(hour):30") { $0.recur(.daily) })
    }
    for order in [AppointmentV1.SortOrder.ascending, .descending] {
      let whole = try await list(clinic, "2025-12-01", "2025-12-14") { $0.order = order }
      #expect(whole.occurrences.count == 15)
      var joined: [AppointmentV1.TimeBlockOccurrence] = []
      var token = ""
      repeat {
        let page = try await list(clinic, "2025-12-01", "2025-12-14") {
          ($0.order, $0.pageSize, $0.pageToken) = (order, size, token)
        }
        #expect(page.occurrences.count <= Int(size))
        joined += page.occurrences
        token = page.nextPageToken
      } while !token.isEmpty
      #expect(joined == whole.occurrences)
      let dates = joined.map(\.date)
      #expect(dates == (order == .ascending ? dates.sorted() : dates.sorted().reversed()))
    }
  }

  @Test("types filter; another clinician's blocks are not seen")
  func filters() async throws {
    let clinic = Clinic()
    let meeting = try await clinic.blockID(clinic.block { $0.type = .meeting })
    try await clinic.createBlock(clinic.block())
    let answer = try await list(clinic, "2025-12-10", "2025-12-10") { $0.types = [.meeting] }
    #expect(answer.timeBlocks.map(\.id) == [meeting])
    let other = Principal(id: "clinician-2", role: .clinician)
    #expect(try await list(clinic, "2025-12-10", "2025-12-10", as: other).occurrences.isEmpty)
  }

  @Test("a window has 1 to 366 days; tokens belong to one list")
  func refused() async throws {
    let clinic = Clinic()
    _ = try await list(clinic, "2028-01-01", "2028-12-31")
    #expect(
      try await failure { try await list(clinic, "2028-01-01", "2029-01-01") }.fields == ["end_date OUT_OF_RANGE"])
    #expect(
      try await failure { try await list(clinic, "2028-01-02", "2028-01-01") }.fields == ["end_date OUT_OF_RANGE"])
    #expect(
      try await failure {
        try await list(clinic, "", "") { ($0.types, $0.pageSize) = ([.unspecified], -1) }
      }.fields == ["page_size OUT_OF_RANGE", "start_date REQUIRED", "end_date REQUIRED", "types[0] OUT_OF_RANGE"])
    try await clinic.createBlock(clinic.block { $0.recur(.daily) })
    let token = try await list(clinic, "2025-12-10", "2025-12-14") { $0.pageSize = 1 }.nextPageToken
    #expect(
      try await failure { try await list(clinic, "2025-12-10", "2025-12-15") { $0.pageToken = token } }.fields
        == ["page_token PAGE_TOKEN_INVALID"])
  }
}
