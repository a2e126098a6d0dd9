internal import Storage
internal import Testing

@Suite("Transactions") struct TransactionTests {
  /// A condition and whether it holds for `["id": "p1", "userId": "u1", "name": "m", "version": 5, "flag": true]`.
  private static let conditions: [(Condition, Bool)] = [
    (.exists("name"), true), (.exists("other"), false), (.notExists("other"), true), (.notExists("name"), false),
    (.equals("name", "m"), true), (.equals("name", "M"), false), (.equals("version", 5), true),
    (.equals("version", "5"), false), (.equals("flag", true), true), (.equals("other", .null), false),
    (.notEquals("name", "x"), true), (.notEquals("name", "m"), false), (.notEquals("other", "x"), false),
    (.lessThan("version", 6), true), (.lessThan("version", 5), false), (.lessThan("name", "n"), true),
    (.lessThan("name", 9), false), (.greaterThan("version", 4), true), (.greaterThan("version", 5), false),
    (.greaterThan("name", "l"), true), (.greaterThan("other", 0), false), (.lessThan("other", 0), false),
    (.and([.exists("name"), .equals("version", 5)]), true), (.and([.exists("name"), .exists("other")]), false),
    (.or([.exists("other"), .equals("version", 5)]), true), (.or([.exists("other"), .exists("more")]), false),
    (.and([]), true), (.or([]), false), (.not(.exists("name")), false), (.not(.equals("version", 6)), true),
    // UTF-8 order, where U+FF5E sorts before U+1F600 (UTF-16 has it the other way).
    (.lessThan("name", "\u{1F600}"), true),
  ]

  @Test("a write goes through exactly if its condition holds", arguments: Engine.allCases, conditions.indices)
  func condition(engine: Engine, index: Int) async throws {
    let (condition, holds) = Self.conditions[index]
    let before = Sample.patient("p1", ["name": "m", "version": 5, "flag": true])
    let after = Sample.patient("p1", ["name": "after"])
    try await engine.withStore { store in
      try await store.put(before)
      var failed: [Int] = []
      do throws(StoreError) {
        try await store.transact([.put(after, in: Sample.patients, if: condition)])
      } catch .conditionFailed(let places) { failed = places }
      #expect(failed == (holds ? [] : [0]))
      #expect(try await store.get(Sample.key("p1"), from: Sample.patients) == (holds ? after : before))
    }
  }

  @Test("an absent item has no attributes", arguments: Engine.allCases)
  func conditionOnNothing(engine: Engine) async throws {
    try await engine.withStore { store in
      await #expect(throws: StoreError.conditionFailed([0])) {
        try await store.transact([.put(Sample.patient("p1"), in: Sample.patients, if: .exists("id"))])
      }
      await #expect(throws: StoreError.conditionFailed([0])) {
        try await store.transact([.delete(Sample.key("p1"), in: Sample.patients, if: .equals("version", 1))])
      }
      try await store.transact([.put(Sample.patient("p1"), in: Sample.patients, if: .notExists("id"))])
      await #expect(throws: StoreError.conditionFailed([0])) {
        try await store.transact([.put(Sample.patient("p1"), in: Sample.patients, if: .notExists("id"))])
      }
    }
  }

  @Test("one failed condition undoes all, and every failed place is named", arguments: Engine.allCases)
  func atomicity(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Sample.patient("kept", ["version": 1, "mrn": "M1"]))
      await #expect(throws: StoreError.conditionFailed([2, 4])) {
        try await store.transact([
          .put(Sample.patient("new", ["mrn": "M2"]), in: Sample.patients, if: .notExists("id")),
          .delete(Sample.key("kept"), in: Sample.patients, if: .equals("version", 1)),
          .check(Sample.key("absent"), in: Sample.patients, if: .exists("id")),
          .check(Sample.key("absent"), in: Sample.blocks, if: .notExists("id")),
          .put(Sample.patient("other"), in: Sample.blocks, if: .equals("version", 2)),
        ])
      }
      #expect(try await store.get(Sample.key("new"), from: Sample.patients) == nil)
      #expect(try await store.get(Sample.key("kept"), from: Sample.patients)?["version"] == 1)
      #expect(
        try await store.ids(Query(Sample.patients, index: "mrn-index", partition: "M2")) == [])
    }
  }

  @Test("a check writes nothing", arguments: Engine.allCases)
  func check(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.transact([.check(Sample.key("p1"), in: Sample.patients, if: .notExists("id"))])
      #expect(try await store.get(Sample.key("p1"), from: Sample.patients) == nil)
      #expect(try await store.journalBounds() == nil)
    }
  }

  @Test("a transaction has 1 to 100 writes", arguments: Engine.allCases)
  func count(engine: Engine) async throws {
    try await engine.withStore { store in
      let writes = (0..<101).map { Write.put(Sample.patient("p\($0)"), in: Sample.patients) }
      await #expect(throws: StoreError.self) { try await store.transact([]) }
      await #expect(throws: StoreError.self) { try await store.transact(writes) }
      #expect(try await store.get(Sample.key("p0"), from: Sample.patients) == nil)
      try await store.transact(Array(writes.prefix(100)))
      #expect(try await store.get(Sample.key("p99"), from: Sample.patients) != nil)
    }
  }

  @Test("no item may be written twice, whatever the writes", arguments: Engine.allCases)
  func twice(engine: Engine) async throws {
    try await engine.withStore { store in
      await #expect(throws: StoreError.self) {
        try await store.put(Sample.patient("p1"), Sample.patient("p1", ["mrn": "M"]))
      }
      await #expect(throws: StoreError.self) {
        try await store.transact([
          .check(Sample.key("p1"), in: Sample.patients, if: .notExists("id")),
          .put(Sample.patient("p1"), in: Sample.patients),
        ])
      }
      let item = try await store.get(Sample.key("p1"), from: Sample.patients)
      #expect(item == nil)
    }
  }

  @Test("a transaction puts at most 4 MiB", arguments: Engine.allCases)
  func bytes(engine: Engine) async throws {
    let item = String(repeating: "x", count: 399 * 1024)
    try await engine.withStore { store in
      let writes = (0..<11).map { Write.put(Sample.patient("p\($0)", ["t": .string(item)]), in: Sample.patients) }
      await #expect(throws: StoreError.self) { try await store.transact(writes) }
      try await store.transact(Array(writes.prefix(10)))
    }
  }

  @Test("32 tasks that increment one counter by its version lose none", arguments: Engine.allCases)
  func counter(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Sample.patient("counter", ["version": 0]))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<32 { group.addTask { for _ in 0..<8 { try await Self.increment(store) } } }
        try await group.waitForAll()
      }
      #expect(try await store.get(Sample.key("counter"), from: Sample.patients)?["version"] == .number(32 * 8))
    }
  }

  @Test("of 32 that create one item, exactly one wins", arguments: Engine.allCases)
  func race(engine: Engine) async throws {
    try await engine.withStore { store in
      let winners = await withTaskGroup(of: Int.self) { group in
        for task in 0..<32 {
          group.addTask {
            let item = Sample.patient("slot", ["winner": .number(Int64(task))])
            let write = Write.put(item, in: Sample.patients, if: .notExists("id"))
            return (try? await store.transact([write])) == nil ? 0 : 1
          }
        }
        return await group.reduce(0, +)
      }
      #expect(winners == 1)
    }
  }

  private static func increment(_ store: any TableStore) async throws {
    while true {
      let version = try await store.get(Sample.key("counter"), from: Sample.patients)?["version"]?.numberValue ?? -1
      let next = Sample.patient("counter", ["version": .number(version + 1)])
      do throws(StoreError) {
        return try await store.transact([
          .put(next, in: Sample.patients, if: .equals("version", .number(version)))
        ])
      } catch { #expect(error == .conditionFailed([0])) }
    }
  }
}
