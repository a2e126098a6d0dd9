internal import Storage
internal import Testing

@Suite("Reading the journal from a place") struct ChangeFilterTests {
  private static let mine = ChangeFilter(tables: ["patients"], sortKey: "u1")

  @Test("only what the filter admits is returned, and how far was read", arguments: Engine.allCases)
  func filter(engine: Engine) async throws {
    try await engine.withStore(clock: TestClock(seconds: 7)) { store in
      try await store.transact([
        .put(Sample.patient("p1"), in: Sample.patients), .put(Sample.patient("b1"), in: Sample.blocks),
        .put(Sample.patient("x1", user: "u2"), in: Sample.patients),
      ])
      try await store.put(Sample.patient("x2", user: "u2"))
      try await store.put(Sample.patient("p2"))
      let end = JournalPosition(sequence: 3, committedAt: 7_000_000)
      let page = try #require(try await store.changes(after: .start, matching: Self.mine, limit: 10))
      #expect(page.transactions.map(\.sequence) == [1, 3])
      #expect(page.transactions.flatMap(\.changes).map(\.key.partition) == ["p1", "p2"])
      #expect(page.through == end && page.reachesEnd)
      let both = ChangeFilter(tables: ["patients", "timeblocks"])
      let all = try #require(try await store.changes(after: .start, matching: both, limit: 10))
      #expect(all.transactions == (try await store.changes(after: 0, limit: 10)))
    }
  }

  @Test("a page looks at no more than it may, and the next goes on behind it", arguments: Engine.allCases)
  func pages(engine: Engine) async throws {
    try await engine.withStore { store in
      for number in 1...7 { try await store.put(Sample.patient("p\(number)", user: number == 6 ? "u1" : "u2")) }
      var position = JournalPosition.start
      var seen: [[Int64]] = []
      var isAtEnd = false
      while !isAtEnd {
        let page = try #require(try await store.changes(after: position, matching: Self.mine, limit: 3))
        seen.append(page.transactions.map(\.sequence))
        position = page.through
        isAtEnd = page.reachesEnd
      }
      #expect(seen == [[], [6], []])
      #expect(position == store.commits.end)
      let rest = try #require(try await store.changes(after: position, matching: Self.mine, limit: 3))
      #expect(rest == JournalPage(transactions: [], through: position, reachesEnd: true))
    }
  }

  @Test("a place that the journal no longer reaches, or never had, is told apart", arguments: Engine.allCases)
  func lostPlaces(engine: Engine) async throws {
    let clock = TestClock(seconds: 1)
    try await engine.withStore(clock: clock) { store in
      #expect(try await store.changes(after: .start, matching: Self.mine, limit: 1)?.reachesEnd == true)
      for number in 1...4 {
        clock.set(microseconds: Int64(number))
        try await store.put(Sample.patient("p\(number)"))
      }
      try await store.pruneJournal(before: 3, limit: 10)
      func page(_ sequence: Int64, _ committedAt: Int64) async throws -> [Int64]? {
        let position = JournalPosition(sequence: sequence, committedAt: committedAt)
        return try await store.changes(after: position, matching: Self.mine, limit: 9)?.transactions.map(\.sequence)
      }
      #expect(try await page(0, 0) == nil)
      #expect(try await page(1, 1) == nil)
      #expect(try await page(2, 2) == [3, 4])
      #expect(try await page(3, 3) == [4])
      #expect(try await page(3, 99) == nil, "another history has the same number")
      #expect(try await page(4, 4) == [])
      #expect(try await page(5, 5) == nil, "beyond the end")
    }
  }

  @Test("limits of a page are 1 and 1000", arguments: Engine.allCases)
  func limits(engine: Engine) async throws {
    try await engine.withStore { store in
      for limit in [0, 1001] {
        await #expect(throws: StoreError.invalidRequest("limit \(limit) is out of range")) {
          try await store.changes(after: .start, matching: Self.mine, limit: limit)
        }
      }
      for limit in [1, 1000] {
        let page = try await store.changes(after: .start, matching: Self.mine, limit: limit)
        #expect(page?.reachesEnd == true)
      }
    }
  }

  @Test(
    "a change says what it replaced: nothing, attributes that differ, or the last image", arguments: Engine.allCases)
  func previous(engine: Engine) async throws {
    let clock = TestClock(seconds: 1000)
    let first = Sample.patient("p1", ["a": 1, "b": .list(["x"]), "gone": "1", "same": .map(["k": 1])])
    let second = Sample.patient("p1", ["a": 2, "b": .list(["x", "y"]), "new": .null, "same": .map(["k": 1])])
    let expiring = Sample.patient("p1", ["expiresAt": 1001])
    try await engine.withStore(clock: clock) { store in
      for item in [first, second, second, expiring] { try await store.put(item) }
      clock.set(microseconds: 1_002_000_000)
      try await store.put(first)
      try await store.transact([.delete(Sample.key("p1"), in: Sample.patients)])
      let changes = try await store.changes(after: 0, limit: 10).flatMap(\.changes)
      #expect(
        changes.map(\.previous) == [
          .absent, .differing(["a", "b", "gone", "new"]), .differing([]),
          .differing(["a", "b", "expiresAt", "new", "same"]), .absent, .deleted(first),
        ])
    }
  }
}
