internal import DiskTestSupport
internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Testing

/// What SQLite does rarely, on a disk that fails while it does so.
@Suite("An encrypted database on a disk that fails")
struct DiskFaultTests {
  /// With a cache of few pages, a transaction writes a page to the WAL several times; then SQLite reads whole frames back
  /// and corrects their checksums before it commits.
  @Test(
    "a commit that is acknowledged is whole, whichever read or write of its corrections failed",
    arguments: [false, true])
  func spilledTransaction(isWrite: Bool) throws {
    let calls: FaultyDisk.Calls = isWrite ? .writes : .reads
    var (number, isStruck, committed) = (0, true, 0)
    while isStruck {
      number += 1
      let disk = try FaultyDisk()
      let fixture = try EncryptedFixture(over: disk)
      let pool = try fixture.pool { try $0.execute(sql: "PRAGMA cache_size = 8; PRAGMA synchronous = FULL") }
      try EncryptedFixture.create(pool)
      try EncryptedFixture.insert(1...200, into: pool)
      disk.fail(calls, number: number)
      var isCommitted = true
      do {
        try pool.write { database in
          for id in 201...260 {
            try database.execute(sql: "INSERT INTO item VALUES (?, ?)", arguments: [id, EncryptedFixture.text(id)])
          }
          // Touches every page again, twice.
          try database.execute(sql: "UPDATE item SET text = '!' || text; UPDATE item SET text = substr(text, 2)")
        }
      } catch { isCommitted = false }
      isStruck = !disk.failed.isEmpty
      disk.heal()
      if isCommitted { committed += 1 }
      let found = try EncryptedFixture(copying: fixture).withPool(EncryptedFixture.readAll)
      #expect(found == Array(1...260) || (!isCommitted && found == Array(1...200)), "call \(number)")
      try pool.close()
    }
    #expect(number > 20 && committed > 0, "\(number) \(committed)")
  }
}
