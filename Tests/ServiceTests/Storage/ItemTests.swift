internal import Storage
internal import Testing

@Suite("Items") struct ItemTests {
  private static let everyType: Item = [
    "id": "p1", "userId": "u1", "text": "Zoë \u{0} 😀", "empty": "", "number": 42, "least": .number(.min),
    "most": .number(.max), "zero": 0, "bytes": .binary([0, 255, 1]), "none": .binary([]), "yes": true, "no": false,
    "nothing": .null, "list": .list(["a", 1, .list([]), .map(["x": .null])]),
    "map": .map(["street": "123 Main St", "inner": .map(["deep": .list([false])])]),
  ]

  @Test("an item comes back as it was put, whatever its types", arguments: Engine.allCases)
  func roundTrip(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Self.everyType)
      #expect(try await store.get(Sample.key("p1"), from: Sample.patients) == Self.everyType)
    }
  }

  @Test("an item that was never put is nil", arguments: Engine.allCases)
  func absent(engine: Engine) async throws {
    try await engine.withStore { store in
      let item = try await store.get(Sample.key("p1"), from: Sample.patients)
      #expect(item == nil)
    }
  }

  @Test("a put replaces the whole item", arguments: Engine.allCases)
  func replace(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Sample.patient("p1", ["lastName": "Doe", "mrn": "M1"]))
      try await store.put(Sample.patient("p1", ["lastName": "Roe"]))
      #expect(
        try await store.get(Sample.key("p1"), from: Sample.patients) == Sample.patient("p1", ["lastName": "Roe"]))
    }
  }

  @Test("a deleted item is gone, and deleting it again succeeds", arguments: Engine.allCases)
  func delete(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Sample.patient("p1"))
      try await store.transact([.delete(Sample.key("p1"), in: Sample.patients)])
      try await store.transact([.delete(Sample.key("p1"), in: Sample.patients)])
      #expect(try await store.get(Sample.key("p1"), from: Sample.patients) == nil)
    }
  }

  @Test("the same id under another sort key or in another table is another item", arguments: Engine.allCases)
  func keysAreWhole(engine: Engine) async throws {
    try await engine.withStore { store in
      let mine = Sample.patient("p1", user: "u1", ["lastName": "Mine"])
      let theirs = Sample.patient("p1", user: "u2", ["lastName": "Theirs"])
      try await store.transact([
        .put(mine, in: Sample.patients), .put(theirs, in: Sample.patients),
        .put(Sample.patient("p1", ["reason": "Lunch"]), in: Sample.blocks),
      ])
      #expect(try await store.get(Sample.key("p1", "u1"), from: Sample.patients) == mine)
      #expect(try await store.get(Sample.key("p1", "u2"), from: Sample.patients) == theirs)
      #expect(try await store.get(Sample.key("p1"), from: Sample.blocks)?["reason"] == "Lunch")
    }
  }

  @Test("keys that are canonically equivalent but differ in bytes are two keys", arguments: Engine.allCases)
  func bytewiseKeys(engine: Engine) async throws {
    let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
    try await engine.withStore { store in
      try await store.put(Sample.patient(composed, ["n": 1]), Sample.patient(decomposed, ["n": 2]))
      #expect(try await store.get(Sample.key(composed), from: Sample.patients)?["n"] == 1)
      #expect(try await store.get(Sample.key(decomposed), from: Sample.patients)?["n"] == 2)
    }
  }

  @Test("a batch gives what exists, in the order of its keys", arguments: Engine.allCases)
  func batch(engine: Engine) async throws {
    try await engine.withStore { store in
      let ids = (0..<40).map { "p\($0)" }
      try await store.transact(ids.map { .put(Sample.patient($0), in: Sample.patients) })
      let wanted = ["p7", "absent", "p39", "p0", "p12", "p1", "p20"]
      let items = try await store.batchGet(wanted.map { Sample.key($0) }, from: Sample.patients)
      #expect(items.map { $0["id"] } == ["p7", "p39", "p0", "p12", "p1", "p20"])
      let few = try await store.batchGet([Sample.key("p3"), Sample.key("p2")], from: Sample.patients)
      #expect(few.map { $0["id"] } == ["p3", "p2"])
    }
  }

  @Test("a batch takes 100 keys, not 101, and no key twice", arguments: Engine.allCases)
  func batchLimits(engine: Engine) async throws {
    try await engine.withStore { store in
      let keys = (0..<101).map { Sample.key("p\($0)") }
      let none = try await store.batchGet(Array(keys.prefix(100)), from: Sample.patients)
      #expect(none.isEmpty)
      await #expect(throws: StoreError.self) { try await store.batchGet(keys, from: Sample.patients) }
      await #expect(throws: StoreError.self) { try await store.batchGet([keys[0], keys[0]], from: Sample.patients) }
    }
  }

  @Test("an item of 400 KiB is kept, one byte more is refused with its place", arguments: Engine.allCases)
  func size(engine: Engine) async throws {
    try await engine.withStore { store in
      let frame = Sample.patient("p1").byteCount + "text".utf8.count
      let most = String(repeating: "x", count: 400 * 1024 - frame)
      try await store.put(Sample.patient("p1", ["text": .string(most)]))
      #expect(try await store.get(Sample.key("p1"), from: Sample.patients)?["text"]?.stringValue == most)
      await #expect(throws: StoreError.itemTooLarge(index: 1)) {
        try await store.put(Sample.patient("p0"), Sample.patient("p1", ["text": .string(most + "x")]))
      }
      #expect(try await store.get(Sample.key("p0"), from: Sample.patients) == nil)
    }
  }

  @Test("keys are 1 to 2048 and 1 to 1024 bytes, index keys too", arguments: Engine.allCases)
  func keyLimits(engine: Engine) async throws {
    let (longest, longestSort) = (String(repeating: "k", count: 2048), String(repeating: "s", count: 1024))
    try await engine.withStore { store in
      try await store.put(Sample.patient(longest, user: longestSort))
      let refused: [Item] = [
        Sample.patient(longest + "k"), Sample.patient("p", user: longestSort + "s"), Sample.patient(""),
        Sample.patient("p", user: ""), ["id": "p"], ["id": "p", "userId": 7],
        Sample.patient("p", ["mrn": ""]), Sample.patient("p", ["mrn": .string(longest + "k")]),
      ]
      for item in refused {
        await #expect(throws: StoreError.self) { try await store.put(item) }
      }
    }
  }

  @Test("values nest 32 deep, not 33", arguments: Engine.allCases)
  func nesting(engine: Engine) async throws {
    let deepest = (0..<32).reduce(AttributeValue.number(1)) { value, _ in .list([value]) }
    try await engine.withStore { store in
      try await store.put(Sample.patient("p1", ["deep": deepest]))
      #expect(try await store.get(Sample.key("p1"), from: Sample.patients)?["deep"] == deepest)
      await #expect(throws: StoreError.self) { try await store.put(Sample.patient("p2", ["deep": .list([deepest])])) }
    }
  }

  @Test("a table that the store was not opened with is refused", arguments: Engine.allCases)
  func unknownTable(engine: Engine) async throws {
    try await engine.withStore { store in
      await #expect(throws: StoreError.self) { try await store.get(Sample.key("p"), from: TableSchema(name: "other")) }
      await #expect(throws: StoreError.self) {
        try await store.transact([.put(Sample.patient("p"), in: TableSchema(name: "other"))])
      }
    }
  }
}
