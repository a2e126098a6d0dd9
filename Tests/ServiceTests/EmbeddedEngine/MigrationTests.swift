internal import Foundation
internal import GRDB
internal import Storage
internal import Testing

@testable internal import EmbeddedEngine

@Suite("Migrations") struct MigrationTests {
  private let fixture = StoreFixture()

  @Test("a store of the first format is brought forward, once, with its items and its journal")
  func forward() async throws {
    let item = StoreFixture.patient("p1")
    try await fixture.withStore { try await $0.transact([StoreFixture.put(item)]) }
    try makeFormat1(item)
    try await fixture.withStore { store in
      #expect(try await store.get(StoreFixture.key("p1"), from: StoreFixture.table) == item)
      try await store.transact([StoreFixture.put(StoreFixture.patient("p1", ["n": 2]))])
      let changes = try await store.changes(after: 0, limit: 10).flatMap(\.changes)
      #expect(changes.map(\.previous) == [.unknown, .differing(["n"])])
      #expect(changes.first?.image == item)
      #expect(try await store.verify().problems == [])
    }
    #expect(try version() == 2)
    try await fixture.withStore { store in
      let bounds = try await store.journalBounds()
      #expect(bounds == 1...2)
    }
    #expect(try version() == 2)
  }

  @Test("each migration leaves the next format's number, so that one that was cut off is not repeated")
  func steps() async throws {
    try await fixture.withStore { _ in }
    #expect(try version() == StoreFormat.migrations.count)
    // As after a crash between the first migration and the second: the first must not run again (its tables are there).
    try fixture.tamper("PRAGMA user_version = 1")
    try await fixture.withStore { try await $0.transact([StoreFixture.put(StoreFixture.patient("p1"))]) }
    #expect(try version() == StoreFormat.migrations.count)
  }

  private func version() throws -> Int {
    let queue = try DatabaseQueue(path: fixture.directory + "/store.sqlite")
    defer { try? queue.close() }
    return try queue.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
  }

  /// Writes the journal's one record as format 1 had it: table 1, the key's two counted strings, 1 for an image, and
  /// the counted body.
  private func makeFormat1(_ item: Item) throws {
    let body = ItemCoding.encode(item)
    let (id, user) = (Array("p1".utf8), Array("u1".utf8))
    try #require(body.count < 128)
    let bytes = [1, UInt8(id.count)] + id + [UInt8(user.count)] + user + [1, UInt8(body.count)] + body
    let queue = try DatabaseQueue(path: fixture.directory + "/store.sqlite")
    try queue.writeWithoutTransaction { database in
      let committed = try #require(try Int64.fetchOne(database, sql: "SELECT committed FROM journal"))
      var crc = CRC32C()
      crc.update(1)
      crc.update(committed)
      crc.update(bytes)
      try database.execute(
        sql: "UPDATE journal SET changes = ?, checksum = ?; PRAGMA user_version = 1",
        arguments: [Data(bytes), Int64(crc.value)])
    }
    try queue.close()
  }
}
