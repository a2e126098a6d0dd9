internal import DiskTestSupport
internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Testing

@Suite("A checkpoint that rests between pages")
struct PaceTests {
  /// How often this thread has given the processor away.
  private var switches: Int {
    get throws {
      let status = try String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8)
      let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") })
      return try #require(line.split(separator: "\t").last.flatMap { Int($0) })
    }
  }

  /// Checkpoints a database of some hundred pages; returns how many were copied and how often the thread paused meanwhile.
  private func checkpoint(resting duration: Duration?) throws -> (pages: Int, pauses: Int) {
    let fixture = try EncryptedFixture()
    var configuration = Configuration()
    configuration.prepareDatabase { try $0.execute(sql: "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_mode = WAL") }
    let queue = try DatabaseQueue(path: fixture.vfs.uri(databaseAt: fixture.path), configuration: configuration)
    let result = try queue.writeWithoutTransaction { database in
      try database.execute(sql: "CREATE TABLE bulk (bytes BLOB); INSERT INTO bulk VALUES (randomblob(2000000))")
      if let duration { try EncryptedVFS.rest(for: duration, betweenPagesOf: database.sqliteConnection) }
      let before = try switches
      let copied = try database.checkpoint(.passive).checkpointedFrameCount
      return (copied, try switches - before)
    }
    try queue.close()
    #expect(try fixture.withPool { try $0.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") } } == "ok")
    return result
  }

  @Test("gives the processor away after each stretch of work, and copies every page")
  func rests() throws {
    let paced = try checkpoint(resting: .nanoseconds(1))
    #expect(paced.pages > 400)
    #expect(paced.pauses >= paced.pages)
  }

  @Test("does not rest unless it is asked to", arguments: [nil, Duration.zero])
  func restless(duration: Duration?) throws {
    let unpaced = try checkpoint(resting: duration)
    #expect(unpaced.pages > 400)
    #expect(unpaced.pauses < unpaced.pages / 4)
  }

  @Test("a rest of a second, or of a connection that is not encrypted, is refused")
  func refusals() throws {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try pool.writeWithoutTransaction { database in
        try EncryptedVFS.rest(for: .nanoseconds(999_999_999), betweenPagesOf: database.sqliteConnection)
        for duration in [Duration.seconds(1), .nanoseconds(-1), .seconds(5)] {
          #expect(throws: EncryptedStorageError.sqlite(code: ResultCode.SQLITE_MISUSE.rawValue)) {
            try EncryptedVFS.rest(for: duration, betweenPagesOf: database.sqliteConnection)
          }
        }
      }
    }
    try DatabaseQueue().inDatabase { (database: Database) -> Void in
      #expect(throws: EncryptedStorageError.sqlite(code: ResultCode.SQLITE_MISUSE.rawValue)) {
        try EncryptedVFS.rest(for: .zero, betweenPagesOf: database.sqliteConnection)
      }
    }
  }
}
