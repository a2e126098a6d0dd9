internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Testing

@Suite("An encrypted database in normal use")
struct EncryptedDatabaseTests {
  @Test("what is written is read, by the same and by the next process")
  func roundTrip() throws {
    let fixture = try EncryptedFixture()
    try fixture.vfs.check(databaseAt: fixture.path)
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      try EncryptedFixture.insert(1...500, into: pool)
      #expect(try EncryptedFixture.readAll(pool) == Array(1...500))
    }
    try fixture.vfs.check(databaseAt: fixture.path)
    #expect(try fixture.withPool(EncryptedFixture.readAll) == Array(1...500))
  }

  @Test("several connections, checkpoints of every kind, VACUUM and a large sort leave the content alone")
  func upkeep() throws {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      for (round, kind) in [Database.CheckpointMode.passive, .full, .restart, .truncate].enumerated() {
        try EncryptedFixture.insert(round * 1000..<(round + 1) * 1000, into: pool)
        try pool.writeWithoutTransaction { _ = try $0.checkpoint(kind) }
        #expect(try EncryptedFixture.readAll(pool).count == (round + 1) * 1000)
      }
      try pool.write { try $0.execute(sql: "DELETE FROM item WHERE id % 3 <> 0") }
      try pool.vacuum()
      let kept = (0..<4000).filter { $0 % 3 == 0 }
      #expect(try EncryptedFixture.readAll(pool) == kept)
      let sorted = try pool.read { try Int.fetchAll($0, sql: "SELECT id FROM item ORDER BY text DESC, id") }
      #expect(sorted.sorted() == kept)
    }
  }

  @Test("a transaction that changes pages it has spilled to the WAL is recovered whole")
  func spilledPages() throws {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool { try $0.execute(sql: "PRAGMA cache_size = 10") }
    try EncryptedFixture.create(pool)
    try pool.write { database in
      for round in 0..<3 {
        for id in 1...400 {
          try database.execute(
            sql: "INSERT INTO item VALUES (?, ?) ON CONFLICT DO UPDATE SET text = excluded.text",
            arguments: [id, round == 2 ? EncryptedFixture.text(id) : "round \(round)"])
        }
      }
    }
    let crashed = try EncryptedFixture(copying: fixture)
    #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...400))
    try pool.close()
  }

  @Test("a rolled back transaction and savepoint leave nothing")
  func rollback() throws {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool { try $0.execute(sql: "PRAGMA cache_size = 10") }
    try EncryptedFixture.create(pool)
    try EncryptedFixture.insert(1...300, into: pool)
    try pool.writeInTransaction { database in
      try database.execute(sql: "UPDATE item SET text = 'lost'")
      return .rollback
    }
    try pool.write { database in
      try database.inSavepoint {
        try database.execute(sql: "DELETE FROM item")
        return .rollback
      }
      try database.execute(
        sql: "INSERT INTO item VALUES (301, ?)", arguments: [EncryptedFixture.text(301)])
    }
    let crashed = try EncryptedFixture(copying: fixture)
    #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...301))
    try pool.close()
  }

  @Test("VACUUM INTO and the backup API write encrypted copies")
  func copies() throws {
    let fixture = try EncryptedFixture()
    let target = try EncryptedFixture(fixture.vfs.keyRing)
    let second = try EncryptedFixture(fixture.vfs.keyRing)
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      try EncryptedFixture.insert(1...200, into: pool)
      try pool.writeWithoutTransaction {
        try $0.execute(sql: "VACUUM INTO ?", arguments: [target.vfs.uri(databaseAt: target.path)])
      }
      let queue = try DatabaseQueue(path: second.vfs.uri(databaseAt: second.path))
      try pool.backup(to: queue)
      try queue.close()
    }
    for copy in [target, second] {
      #expect(try copy.read(copy.path).range(of: Data(EncryptedFixture.secret.utf8)) == nil)
      #expect(try copy.withPool(EncryptedFixture.readAll) == Array(1...200))
    }
  }

  @Test("a rollback journal is encrypted and rolls back")
  func rollbackJournal() throws {
    let fixture = try EncryptedFixture()
    var configuration = Configuration()
    configuration.journalMode = .default
    configuration.prepareDatabase { try $0.execute(sql: "PRAGMA cache_size = 5") }
    let queue = try DatabaseQueue(path: fixture.vfs.uri(databaseAt: fixture.path), configuration: configuration)
    try queue.write { database in
      try database.execute(sql: "CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
      for id in 1...200 {
        try database.execute(sql: "INSERT INTO item VALUES (?, ?)", arguments: [id, EncryptedFixture.text(id)])
      }
    }
    // Spilled: the database file holds the new pages, the journal the old ones. The copy is what a crash would leave.
    let crashed = try EncryptedFixture(fixture.vfs.keyRing)
    try queue.inTransaction { database in
      try database.execute(sql: "UPDATE item SET text = 'changed ' || text")
      for suffix in ["", "-journal"] {
        try FileManager.default.copyItem(atPath: fixture.path + suffix, toPath: crashed.path + suffix)
      }
      return .rollback
    }
    try queue.close()
    let journal = try crashed.read(crashed.path + "-journal")
    #expect(journal.count > 10 * EncryptedFixture.pageLength)
    #expect(journal.range(of: Data(EncryptedFixture.secret.utf8)) == nil)
    #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...200))
  }

  @Test("no file of a store holds known bytes, in whatever state it is copied")
  func nothingInClear() throws {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool { try $0.execute(sql: "PRAGMA cache_size = 20") }
    try EncryptedFixture.create(pool)
    try pool.write { try $0.execute(sql: "CREATE INDEX by_text ON item (text)") }
    func expectNothing() throws {
      for name in try FileManager.default.contentsOfDirectory(atPath: fixture.directory) {
        let data = try fixture.read(fixture.directory + "/" + name)
        for word in [EncryptedFixture.secret, "by_text", "CREATE", "SQLite format 3"] {
          #expect(data.range(of: Data(word.utf8)) == nil, "\(word) in \(name)")
        }
      }
    }
    for round in 0..<5 {
      try EncryptedFixture.insert(round * 300..<(round + 1) * 300, into: pool)
      try expectNothing()
      if round % 2 == 1 { try pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } }
      try expectNothing()
    }
    try pool.vacuum()
    try expectNothing()
    try pool.close()
    try expectNothing()
  }

  @Test("two stores of one process keep to their own keys, and a plain database beside them stays plain")
  func severalStores() throws {
    let first = try EncryptedFixture(EncryptedFixture.ring(1))
    let second = try EncryptedFixture(EncryptedFixture.ring(2))
    for fixture in [first, second] { try fixture.withPool(EncryptedFixture.create) }
    #expect(try first.vfs.keysInUse(databaseAt: first.path).map(\.id) == [1])
    #expect(try second.vfs.keysInUse(databaseAt: second.path).map(\.id) == [2])
    let plain = first.directory + "/plain.sqlite"
    let queue = try DatabaseQueue(path: plain)
    try queue.write { try $0.execute(sql: "CREATE TABLE t (a)") }
    try queue.close()
    #expect(try first.read(plain).starts(with: Data("SQLite format 3\0".utf8)))
    #expect(throws: EncryptedStorageError.notEncrypted(path: plain)) { try first.vfs.check(databaseAt: plain) }
    #expect(throws: DatabaseError.self) { try DatabaseQueue(path: first.vfs.uri(databaseAt: plain)) }
  }

  @Test("a path of any characters is a path", arguments: ["a b", "50%20", "x?y=1", "#1", "Ünïcode", "a&vfs=unix"])
  func paths(name: String) throws {
    let fixture = try EncryptedFixture()
    let path = fixture.directory + "/" + name
    let queue = try DatabaseQueue(path: fixture.vfs.uri(databaseAt: path))
    try queue.write { try $0.execute(sql: "CREATE TABLE t (a)") }
    try queue.close()
    #expect(try !fixture.read(path).starts(with: Data("SQLite format 3".utf8)))
    try fixture.vfs.check(databaseAt: path)
  }

  @Test("a VFS in use is not unregistered, and one that is not in use is")
  func unregister() throws {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      #expect(throws: EncryptedStorageError.self) { try fixture.vfs.unregister() }
    }
    try fixture.vfs.unregister()
    #expect(throws: DatabaseError.self) { try fixture.pool() }
  }
}
