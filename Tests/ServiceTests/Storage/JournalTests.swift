internal import Storage
internal import Testing

@Suite("Journal") struct JournalTests {
  @Test("each transaction is one entry with the items as it left them", arguments: Engine.allCases)
  func entries(engine: Engine) async throws {
    let clock = TestClock(seconds: 1000)
    let (first, second) = (Sample.patient("p1", ["n": 1]), Sample.patient("p1", ["n": 2]))
    try await engine.withStore(clock: clock) { store in
      try await store.transact([
        .put(first, in: Sample.patients), .put(Sample.patient("b1"), in: Sample.blocks),
        .check(Sample.key("b2"), in: Sample.blocks, if: .notExists("id")),
      ])
      clock.set(microseconds: 1_000_000_007)
      try await store.put(second)
      try await store.transact([
        .delete(Sample.key("p1"), in: Sample.patients), .delete(Sample.key("absent"), in: Sample.patients),
      ])
      #expect(
        try await store.changes(after: 0, limit: 10) == [
          CommittedTransaction(
            sequence: 1, committedAt: 1_000_000_000,
            changes: [
              .init(table: "patients", key: Sample.key("p1"), image: first, previous: .absent),
              .init(table: "timeblocks", key: Sample.key("b1"), image: Sample.patient("b1"), previous: .absent),
            ]),
          CommittedTransaction(
            sequence: 2, committedAt: 1_000_000_007,
            changes: [
              .init(table: "patients", key: Sample.key("p1"), image: second, previous: .differing(["n"]))
            ]),
          CommittedTransaction(
            sequence: 3, committedAt: 1_000_000_007,
            changes: [.init(table: "patients", key: Sample.key("p1"), image: nil, previous: .deleted(second))]),
        ])
      #expect(try await store.changes(after: 1, limit: 1).map(\.sequence) == [2])
      #expect(try await store.changes(after: 3, limit: 1) == [])
      #expect(try await store.journalBounds() == 1...3)
    }
  }

  @Test("refused transactions and those that change nothing leave no entry", arguments: Engine.allCases)
  func nothing(engine: Engine) async throws {
    try await engine.withStore { store in
      await #expect(throws: StoreError.conditionFailed([1])) {
        try await store.transact([
          .put(Sample.patient("p1"), in: Sample.patients),
          .check(Sample.key("p2"), in: Sample.patients, if: .exists("id")),
        ])
      }
      try await store.transact([.delete(Sample.key("p1"), in: Sample.patients)])
      #expect(try await store.journalBounds() == nil)
      try await store.put(Sample.patient("p1"))
      #expect(try await store.journalBounds() == 1...1)
    }
  }

  @Test("times never go back, even if the clock does", arguments: Engine.allCases)
  func monotonicTime(engine: Engine) async throws {
    let clock = TestClock(seconds: 1000)
    try await engine.withStore(clock: clock) { store in
      try await store.put(Sample.patient("p1"))
      clock.set(microseconds: 5)
      try await store.put(Sample.patient("p2"))
      #expect(try await store.changes(after: 0, limit: 10).map(\.committedAt) == [1_000_000_000, 1_000_000_000])
    }
  }

  @Test("pruning forgets the old, keeps the newest, and a reader that is behind is told", arguments: Engine.allCases)
  func prune(engine: Engine) async throws {
    let clock = TestClock(seconds: 1000)
    try await engine.withStore(clock: clock) { store in
      for number in 0..<6 {
        clock.set(microseconds: Int64(number) * 10)
        try await store.put(Sample.patient("p\(number)"))
      }
      #expect(try await store.pruneJournal(before: 30, limit: 2) == 2)
      #expect(try await store.pruneJournal(before: 30, limit: 2) == 1)
      #expect(try await store.pruneJournal(before: 30, limit: 2) == 0)
      #expect(try await store.journalBounds() == 4...6)
      #expect(try await store.changes(after: 3, limit: 10).map(\.sequence) == [4, 5, 6])
      await #expect(throws: StoreError.self) { try await store.changes(after: 2, limit: 10) }
      #expect(try await store.pruneJournal(before: .max, limit: 100) == 2)
      #expect(try await store.journalBounds() == 6...6)
      try await store.put(Sample.patient("p7"))
      #expect(try await store.journalBounds() == 6...7)
    }
  }
}
