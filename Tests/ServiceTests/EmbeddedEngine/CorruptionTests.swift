internal import EmbeddedEngine
internal import Storage
internal import Testing

@Suite("Corruption") struct CorruptionTests {
  private let fixture = StoreFixture()

  /// Three items, the first of them written twice.
  private func fill() async throws {
    try await fixture.withStore { store in
      for id in ["p1", "p2", "p3"] { try await store.transact([StoreFixture.put(StoreFixture.patient(id))]) }
      try await store.transact([StoreFixture.put(StoreFixture.patient("p1", ["version": 2]))])
      try await store.transact([StoreFixture.put(StoreFixture.patient("gone"))])
      try await store.transact([.delete(StoreFixture.key("gone"), in: StoreFixture.table)])
    }
  }

  /// What somebody did to the files, and what verification must say of it.
  private static let damages: [(sql: [String], problem: String)] = [
    (
      ["UPDATE \(StoreFixture.sqlTable) SET body = CAST(replace(body, 'N-p2', 'N-pX') AS BLOB) WHERE pk = 'p2'"],
      "does not match its checksum"
    ),
    (["UPDATE \(StoreFixture.sqlTable) SET checksum = checksum + 1 WHERE pk = 'p2'"], "does not match its checksum"),
    (["UPDATE \(StoreFixture.sqlTable) SET pk = 'p9' WHERE pk = 'p2'"], "does not match its checksum"),
    (["UPDATE \(StoreFixture.sqlTable) SET \"a:mrn\" = 'M-other' WHERE pk = 'p2'"], "index columns differ"),
    (["UPDATE \(StoreFixture.sqlTable) SET \"a:mrn\" = NULL WHERE pk = 'p2'"], "index columns differ"),
    (["UPDATE \(StoreFixture.sqlTable) SET ttl = 7 WHERE pk = 'p2'"], "time to live differs"),
    (["DELETE FROM \(StoreFixture.sqlTable) WHERE pk = 'p2'"], "is gone without a deletion"),
    (["UPDATE \(StoreFixture.sqlTable) SET sequence = 1 WHERE pk = 'p1'"], "is older than what transaction 4 wrote"),
    (["UPDATE \(StoreFixture.sqlTable) SET sequence = 3 WHERE pk = 'p2'"], "differs from what transaction 3"),
    (["UPDATE \(StoreFixture.sqlTable) SET sequence = 99 WHERE pk = 'p2'"], "differs from what transaction 99"),
    (["DELETE FROM journal WHERE sequence = 3"], "the journal jumps from 2 to 4"),
    (["UPDATE journal SET committed = 1 WHERE sequence = 3"], "time goes back at 3"),
    (
      ["UPDATE journal SET changes = zeroblob(length(changes)) WHERE sequence = 2"], "transaction 2 of the journal does"
    ),
    (
      [
        // A row deleted while SQLite did not know of one index: the index has an entry too many.
        """
        CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'clinicavoice-patients-test/mrn-index';
        PRAGMA writable_schema = ON;
        DELETE FROM sqlite_schema WHERE name = 'clinicavoice-patients-test/mrn-index';
        """, "UPDATE \(StoreFixture.sqlTable) SET \"a:mrn\" = 'M-p2x' WHERE pk = 'p2'",
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden; DROP TABLE hidden",
      ], "SQLite: "
    ),
  ]

  @Test("verification finds it", arguments: damages.indices)
  func verification(index: Int) async throws {
    try await fill()
    for sql in Self.damages[index].sql { try fixture.tamper(sql) }
    let report = try await fixture.withStore { try await $0.verify() }
    #expect(report.problems.contains { $0.contains(Self.damages[index].problem) }, "\(report.problems)")
  }

  @Test("a store that nobody touched is clean")
  func clean() async throws {
    try await fill()
    let report = try await fixture.withStore { try await $0.verify() }
    #expect(report.problems == [])
    #expect(report.items == 3)
    #expect(report.transactions == 6)
  }

  /// A service's sweep that says what it was given.
  private struct Recorder: ItemSweep {
    var keys: [String] = []
    mutating func add(_ item: Item, of table: TableSchema) {
      keys.append("\(table.name) \(item["id"]?.stringValue ?? "")")
    }
    consuming func problems() -> [String] { keys.sorted() }
  }

  @Test("verification gives each item to the service's sweep and reports what that finds")
  func sweep() async throws {
    try await fill()
    let report = try await fixture.withStore { try await $0.verify(Recorder()) }
    #expect(report.problems == ["p1", "p2", "p3"].map { "\(StoreFixture.table.name) \($0)" })
  }

  @Test("an item that is not what was written is never an answer", arguments: [0, 1])
  func neverAnAnswer(index: Int) async throws {
    try await fill()
    for sql in Self.damages[index].sql { try fixture.tamper(sql) }
    let corrupt = StoreError.corrupt("an item of clinicavoice-patients-test does not match its checksum")
    let (table, key) = (StoreFixture.table, StoreFixture.key("p2"))
    try await fixture.withStore { store in
      await #expect(throws: corrupt) { try await store.get(key, from: table) }
      await #expect(throws: corrupt) { try await store.batchGet([key], from: table) }
      await #expect(throws: corrupt) {
        try await store.query(Query(table, index: "name-index", partition: "u1"))
      }
      await #expect(throws: corrupt) {
        try await store.transact([StoreFixture.put(StoreFixture.patient("p2"), if: .exists("id"))])
      }
      // The others are unharmed, and a whole new item heals this one.
      #expect(try await store.get(StoreFixture.key("p3"), from: table) != nil)
      try await store.transact([StoreFixture.put(StoreFixture.patient("p2"))])
      #expect(try await store.get(key, from: table) == StoreFixture.patient("p2"))
      #expect(try await store.verify().problems == [])
    }
  }
}
