internal import CPageCache
internal import Foundation
internal import GRDB
internal import TestSupport
internal import Testing

@Suite("The page cache")
struct PageCacheTests {
  @Test("is the one of every connection of a program that links the engine")
  func isInstalled() { #expect(cpc_is_installed()) }

  // MARK: - When there is something to drop

  @Test("pages are dropped where there can be some, at the highest number and one above it")
  func bounds() {
    var numbers = cpc_numbers(4096)
    #expect(!cpc_drop(&numbers, 1))
    for number: UInt32 in [3, 7, 5] { cpc_note(&numbers, number) }
    #expect(!cpc_drop(&numbers, 8))
    #expect(cpc_drop(&numbers, 7))
    #expect(!cpc_drop(&numbers, 7))
    #expect(cpc_drop(&numbers, 6))
    #expect(cpc_drop(&numbers, 0))
    #expect(!cpc_drop(&numbers, 1))
  }

  @Test(
    "a page that is on its way to another number does not count; its neighbours do",
    arguments: [(UInt32(4096), UInt32(262_145)), (512, 2_097_153), (65536, 16_385)])
  func lockBytePage(size: UInt32, number: UInt32) {
    var numbers = cpc_numbers(size)
    cpc_note(&numbers, 10)
    cpc_note(&numbers, number)
    #expect(!cpc_drop(&numbers, 11))
    cpc_note(&numbers, number - 1)
    #expect(!cpc_drop(&numbers, number))
    #expect(cpc_drop(&numbers, number - 1))
    cpc_note(&numbers, number + 1)
    #expect(cpc_drop(&numbers, number + 1))
  }

  // MARK: - With SQLite

  private func withQueue(_ body: (String, DatabaseQueue) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("pages-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let queue = try Self.open(directory + "/pages.sqlite")
    try queue.write { try $0.execute(sql: "CREATE TABLE item (key BLOB PRIMARY KEY, text TEXT) WITHOUT ROWID") }
    try body(directory + "/pages.sqlite", queue)
    try queue.close()
  }

  private static func open(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.journalMode = .wal
    configuration.prepareDatabase {
      try $0.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = -65536")
    }
    return try DatabaseQueue(path: path, configuration: configuration)
  }

  private static func fill(_ database: Database, _ keys: Range<Int>, with letter: String) throws {
    for key in keys {
      try database.execute(
        sql: "INSERT INTO item VALUES (?, ?)", arguments: [key, String(repeating: letter, count: 1000)])
    }
  }

  /// Of a database that is sound.
  private static func letters(_ database: Database) throws -> [String] {
    guard try isSound(database) else { return [] }
    return try String.fetchAll(database, sql: "SELECT DISTINCT text FROM item").map { String($0.prefix(1)) }.sorted()
  }

  private static func isSound(_ database: Database) throws -> Bool {
    try String.fetchAll(database, sql: "PRAGMA integrity_check") == ["ok"]
  }

  @Test("what a database had behind its end is not seen when it grows again, by this or another connection")
  func shrinksAndGrows() throws {
    try withQueue { path, queue in
      try queue.write { try Self.fill($0, 0..<1000, with: "a") }
      try queue.writeWithoutTransaction { database in
        let before = try #require(try Int.fetchOne(database, sql: "PRAGMA page_count"))
        try database.execute(sql: "DELETE FROM item")
        _ = try Row.fetchAll(database, sql: "PRAGMA incremental_vacuum")
        let after = try #require(try Int.fetchOne(database, sql: "PRAGMA page_count"))
        #expect(after < before / 10)
      }
      let other = try Self.open(path)
      try other.write { try Self.fill($0, 0..<1000, with: "b") }
      #expect(try queue.read(Self.letters) == ["b"])
      try queue.write { database in
        try database.execute(sql: "DELETE FROM item WHERE key >= 100")
        try Self.fill(database, 100..<1000, with: "c")
      }
      #expect(try other.read(Self.letters) == ["b", "c"])
      try other.close()
    }
  }

  @Test("what was rolled back is not seen when the database grows again")
  func rollsBack() throws {
    try withQueue { path, queue in
      try queue.write { try Self.fill($0, 0..<10, with: "a") }
      for letter in ["b", "c"] {
        try queue.inTransaction {
          try Self.fill($0, 10..<1000, with: letter)
          return .rollback
        }
        #expect(try queue.read(Self.letters) == ["a"])
      }
      try queue.write { try Self.fill($0, 10..<1000, with: "d") }
      #expect(try queue.read(Self.letters) == ["a", "d"])
    }
  }

  @Test("random keys, whose balances swap the numbers of pages, commit after commit", arguments: [UInt64(1), 2, 3])
  func randomKeys(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    try withQueue { path, queue in
      var expected: [Data: String] = [:]
      for round in 0..<60 {
        let keys = (0..<20).map { _ in Data((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }) }
        let gone = expected.keys.sorted { $0.lexicographicallyPrecedes($1) }.shuffled(using: &random).prefix(round % 10)
        try queue.write { database in
          for key in keys {
            let text = String(repeating: "\(round) ", count: Int.random(in: 1...400, using: &random))
            expected[key] = text
            try database.execute(sql: "INSERT INTO item VALUES (?, ?)", arguments: [key, text])
          }
          for key in gone {
            expected[key] = nil
            try database.execute(sql: "DELETE FROM item WHERE key = ?", arguments: [key])
          }
        }
      }
      for connection in [queue, try Self.open(path)] {
        #expect(try connection.read(Self.isSound))
        try connection.read { database in
          let rows = try Row.fetchAll(database, sql: "SELECT key, text FROM item")
          let found = Dictionary(uniqueKeysWithValues: rows.map { ($0["key"] as Data, $0["text"] as String) })
          #expect(found == expected)
        }
      }
    }
  }
}
