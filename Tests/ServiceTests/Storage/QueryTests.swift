internal import Storage
internal import Testing

@Suite("Queries") struct QueryTests {
  private static func named(_ name: String, in store: any TableStore) async throws {
    try await store.put(Sample.patient("id-" + name, ["lastName": .string(name)]))
  }

  private static func byName(
    _ sortKey: Query.SortKey = .any, ascending: Bool = true, limit: Int = 100, user: String = "u1"
  ) -> Query {
    Query(
      Sample.patients, index: "lastName-index", partition: user, sortKey: sortKey, ascending: ascending, limit: limit)
  }

  /// A sort key condition and which of `names` it admits, worked out by hand.
  private static let names = ["Do", "Doe", "Doe\u{0}", "Doerr", "Dog", "doe", "É", "\u{FF5E}", "\u{1F600}"]
  private static let sortKeys: [(Query.SortKey, [String])] = [
    (.any, names), (.equals("Doe"), ["Doe"]), (.equals("DOE"), []), (.beginsWith("Doe"), ["Doe", "Doe\u{0}", "Doerr"]),
    (.beginsWith("\u{1F600}"), ["\u{1F600}"]), (.beginsWith(""), names),
    (.between("Doe", "Dog"), ["Doe", "Doe\u{0}", "Doerr", "Dog"]), (.between("Dog", "Doe"), []),
    (.atLeast("doe"), ["doe", "É", "\u{FF5E}", "\u{1F600}"]), (.atMost("Doe"), ["Do", "Doe"]),
  ]

  @Test(
    "each condition on the sort key admits what it says, in byte order", arguments: Engine.allCases, sortKeys.indices)
  func sortKey(engine: Engine, index: Int) async throws {
    let (condition, expected) = Self.sortKeys[index]
    try await engine.withStore { store in
      for name in Self.names.shuffled() { try await Self.named(name, in: store) }
      let ids = expected.map { "id-" + $0 }
      for limit in [1, 2, 100] {
        #expect(try await store.ids(Self.byName(condition, limit: limit)) == ids)
        #expect(try await store.ids(Self.byName(condition, ascending: false, limit: limit)) == ids.reversed())
      }
    }
  }

  @Test("an index has only items with both its keys, as strings", arguments: Engine.allCases)
  func sparse(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(
        Sample.patient("both", ["lastName": "Doe", "clinic": "c"]), Sample.patient("name only", ["lastName": "Doe"]),
        Sample.patient("clinic only", ["clinic": "c"]), Sample.patient("number", ["lastName": 7, "clinic": "c"]),
        Sample.patient("null", ["lastName": .null, "clinic": "c"]))
      let query = Query(Sample.patients, index: "clinic-index", partition: "c")
      #expect(try await store.ids(query) == ["both"])
    }
  }

  @Test("an index follows its items: put, change, loss of a key, deletion", arguments: Engine.allCases)
  func maintenance(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Sample.patient("p1", ["lastName": "Doe", "mrn": "M1"]))
      #expect(try await store.ids(Query(Sample.patients, index: "mrn-index", partition: "M1")) == ["p1"])
      try await store.put(Sample.patient("p1", ["lastName": "Roe", "mrn": "M1"]))
      #expect(try await store.ids(Self.byName(.equals("Doe"))) == [])
      #expect(try await store.ids(Self.byName(.equals("Roe"))) == ["p1"])
      try await store.put(Sample.patient("p1", ["mrn": "M1"]))
      #expect(try await store.ids(Self.byName()) == [])
      try await store.put(Sample.patient("p1", ["lastName": "Poe", "mrn": "M1"]))
      #expect(try await store.ids(Self.byName()) == ["p1"])
      try await store.transact([.delete(Sample.key("p1"), in: Sample.patients)])
      #expect(try await store.ids(Self.byName()) == [])
      #expect(try await store.ids(Query(Sample.patients, index: "mrn-index", partition: "M1")) == [])
    }
  }

  @Test("equal sort keys are ordered by the item's key, and pages neither repeat nor skip", arguments: Engine.allCases)
  func ties(engine: Engine) async throws {
    let expected = ["p0", "p1", "p10", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "é"]
    try await engine.withStore { store in
      for id in expected.shuffled() { try await store.put(Sample.patient(id, ["lastName": "Doe"])) }
      for limit in [1, 5, 12, 13] {
        #expect(try await store.ids(Self.byName(limit: limit)) == expected)
        #expect(try await store.ids(Self.byName(.equals("Doe"), limit: limit)) == expected)
        #expect(
          try await store.ids(Self.byName(.beginsWith("D"), ascending: false, limit: limit)) == expected.reversed())
        #expect(try await store.ids(Self.byName(.equals("Doe"), ascending: false, limit: limit)) == expected.reversed())
      }
    }
  }

  @Test("a partition shows only its own items", arguments: Engine.allCases)
  func partitions(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(
        Sample.patient("p1", user: "u1", ["lastName": "A"]), Sample.patient("p2", user: "u10", ["lastName": "B"]),
        Sample.patient("p3", user: "u", ["lastName": "C"]))
      #expect(try await store.ids(Self.byName(user: "u1")) == ["p1"])
      #expect(try await store.ids(Self.byName(user: "u2")) == [])
    }
  }

  @Test("a table is queried by its own key without an index", arguments: Engine.allCases)
  func tableOrder(engine: Engine) async throws {
    try await engine.withStore { store in
      for user in ["u3", "u1", "u2"] { try await store.put(Sample.patient("p1", user: user)) }
      try await store.put(Sample.patient("p2", user: "u1"))
      for limit in [1, 2, 3, 4] {
        var query = Query(Sample.patients, partition: "p1", limit: limit)
        var users: [AttributeValue?] = []
        repeat {
          let page = try await store.query(query)
          users += page.items.map { $0["userId"] }
          query.exclusiveStart = page.next
        } while query.exclusiveStart != nil
        #expect(users == ["u1", "u2", "u3"])
      }
      #expect(try await store.ids(Query(Sample.patients, partition: "p1", sortKey: .equals("u2"))) == ["p1"])
      #expect(try await store.ids(Query(Sample.patients, partition: "p1", sortKey: .atLeast("u2"))).count == 2)
    }
  }

  @Test("a page says that there is more exactly when there is", arguments: Engine.allCases)
  func lastPage(engine: Engine) async throws {
    try await engine.withStore { store in
      for name in ["a", "b", "c"] { try await Self.named(name, in: store) }
      #expect(try await store.query(Self.byName(limit: 2)).next?.sortKey == "b")
      #expect(try await store.query(Self.byName(limit: 3)).next == nil)
      #expect(try await store.query(Self.byName(limit: 4)).next == nil)
    }
  }

  @Test("a cursor outside of the range means all or nothing of it", arguments: Engine.allCases)
  func foreignCursor(engine: Engine) async throws {
    try await engine.withStore { store in
      for name in ["a", "b", "c", "d"] { try await Self.named(name, in: store) }
      func after(_ place: String, _ sortKey: Query.SortKey, ascending: Bool = true) async throws -> [String] {
        var query = Self.byName(sortKey, ascending: ascending)
        query.exclusiveStart = .init(sortKey: place, item: Sample.key("id-" + place))
        return try await store.ids(query)
      }
      #expect(try await after("a", .atLeast("c")) == ["id-c", "id-d"])
      #expect(try await after("d", .atMost("b")) == [])
      #expect(try await after("a", .equals("b")) == ["id-b"])
      #expect(try await after("b", .equals("b")) == [])
      #expect(try await after("c", .equals("b")) == [])
      #expect(try await after("c", .equals("b"), ascending: false) == ["id-b"])
      #expect(try await after("d", .between("b", "c"), ascending: false) == ["id-c", "id-b"])
      #expect(try await after("c", .between("b", "c"), ascending: false) == ["id-b"])
      #expect(try await after("a", .between("b", "c"), ascending: false) == [])
    }
  }

  @Test("limits are 1 to 1000", arguments: Engine.allCases)
  func limits(engine: Engine) async throws {
    try await engine.withStore { store in
      let page = try await store.query(Self.byName(limit: 1000))
      #expect(page.items.isEmpty)
      for limit in [0, -1, 1001] {
        await #expect(throws: StoreError.self) { try await store.query(Self.byName(limit: limit)) }
      }
      await #expect(throws: StoreError.self) {
        try await store.query(Query(Sample.patients, index: "no-index", partition: "u1"))
      }
    }
  }

  @Test("a page ends after 1 MiB, and the next goes on", arguments: Engine.allCases)
  func pageBytes(engine: Engine) async throws {
    let text = AttributeValue.string(String(repeating: "x", count: 300 * 1024))
    try await engine.withStore { store in
      for id in 0..<6 { try await store.put(Sample.patient("p\(id)", ["lastName": "Doe", "text": text])) }
      #expect(try await store.query(Self.byName()).items.count == 4)
      #expect(try await store.ids(Self.byName()).count == 6)
    }
  }

  @Test("while writers add and remove others, pages show each standing item once", arguments: Engine.allCases)
  func concurrentWrites(engine: Engine) async throws {
    try await engine.withStore { store in
      let standing = (0..<60).map { "s\($0)" }
      try await store.transact(
        standing.map { .put(Sample.patient($0, ["lastName": .string("n-\($0)")]), in: Sample.patients) })
      try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<4 {
          group.addTask {
            for round in 0..<25 {
              let id = "w\(writer)-\(round)"
              try await store.put(Sample.patient(id, ["lastName": .string("n-s\(round)-\(writer)")]))
              try await store.transact([.delete(Sample.key(id), in: Sample.patients)])
            }
          }
        }
        for _ in 0..<4 {
          group.addTask {
            let seen = try await store.ids(Self.byName(limit: 7)).filter { $0.hasPrefix("s") }
            #expect(seen.sorted() == standing.sorted())
          }
        }
        try await group.waitForAll()
      }
    }
  }
}
