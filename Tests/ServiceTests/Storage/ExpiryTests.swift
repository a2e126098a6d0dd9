internal import Storage
internal import Testing

@Suite("Expiry") struct ExpiryTests {
  private static let expiry: Int64 = 1_800_000_100

  private static func token(_ id: String = "t1", at second: Int64 = expiry) -> Item {
    Sample.patient(id, ["lastName": "Token", "expiresAt": .number(second)])
  }

  @Test("an item is there through its last second's instant, and gone after it", arguments: Engine.allCases)
  func boundary(engine: Engine) async throws {
    let clock = TestClock()
    let query = Query(Sample.patients, index: "lastName-index", partition: "u1")
    try await engine.withStore(clock: clock) { store in
      try await store.put(Self.token())
      clock.set(microseconds: Self.expiry * 1_000_000)
      #expect(try await store.get(Sample.key("t1"), from: Sample.patients) != nil)
      #expect(try await store.ids(query) == ["t1"])
      clock.set(microseconds: Self.expiry * 1_000_000 + 1)
      #expect(try await store.get(Sample.key("t1"), from: Sample.patients) == nil)
      #expect(try await store.batchGet([Sample.key("t1")], from: Sample.patients) == [])
      #expect(try await store.ids(query) == [])
    }
  }

  @Test("to a condition an expired item is absent, swept or not", arguments: Engine.allCases)
  func conditions(engine: Engine) async throws {
    let clock = TestClock()
    try await engine.withStore(clock: clock) { store in
      try await store.put(Self.token())
      clock.set(microseconds: (Self.expiry + 1) * 1_000_000)
      await #expect(throws: StoreError.conditionFailed([0])) {
        try await store.transact([.delete(Sample.key("t1"), in: Sample.patients, if: .exists("id"))])
      }
      let again = Self.token(at: Self.expiry + 100)
      try await store.transact([.put(again, in: Sample.patients, if: .notExists("id"))])
      #expect(try await store.get(Sample.key("t1"), from: Sample.patients) == again)
      #expect(try await store.sweepExpired(limit: 10) == 0)
    }
  }

  @Test("an attribute of another type, or none, means no expiry", arguments: Engine.allCases)
  func otherTypes(engine: Engine) async throws {
    let clock = TestClock()
    try await engine.withStore(clock: clock) { store in
      try await store.put(Sample.patient("p1", ["expiresAt": "2025-01-01T00:00:00Z"]), Sample.patient("p2"))
      clock.set(microseconds: .max / 2)
      #expect(try await store.batchGet([Sample.key("p1"), Sample.key("p2")], from: Sample.patients).count == 2)
      #expect(try await store.sweepExpired(limit: 10) == 0)
    }
  }

  @Test(
    "the sweeper deletes what has expired, a bounded batch at a time, and says so in the journal",
    arguments: Engine.allCases)
  func sweep(engine: Engine) async throws {
    let clock = TestClock()
    try await engine.withStore(clock: clock) { store in
      try await store.put(Sample.patient("kept"), Self.token("later", at: Self.expiry + 1000))
      try await store.transact((0..<5).map { .put(Self.token("t\($0)"), in: Sample.patients) })
      clock.set(microseconds: (Self.expiry + 1) * 1_000_000)
      #expect(try await store.sweepExpired(limit: 3) == 3)
      #expect(try await store.sweepExpired(limit: 3) == 2)
      #expect(try await store.sweepExpired(limit: 3) == 0)
      let changes = try await store.changes(after: 2, limit: 100).flatMap(\.changes)
      #expect(Set(changes.map(\.key.partition)) == ["t0", "t1", "t2", "t3", "t4"])
      #expect(changes.allSatisfy { $0.image == nil })
      #expect(try await store.get(Sample.key("kept"), from: Sample.patients) != nil)
      #expect(try await store.get(Sample.key("later"), from: Sample.patients) != nil)
    }
  }
}
