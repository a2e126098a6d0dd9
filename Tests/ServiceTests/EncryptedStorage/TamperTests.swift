internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Testing

/// Each test damages the files of a small store: every answer afterwards is an error or the truth.
@Suite("An encrypted database whose files were tampered with")
struct TamperTests {
  /// A closed store whose pages are all in the database file.
  private func closedStore(rows: Int = 60) throws -> EncryptedFixture {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      try EncryptedFixture.insert(1...rows, into: pool)
    }
    return fixture
  }

  /// Reads everything; a page that does not authenticate is SQLITE_IOERR_DATA (8202), at open or later.
  private func expectDamage(_ fixture: EncryptedFixture, _ remark: Comment) {
    #expect(remark) {
      _ = try fixture.withPool(EncryptedFixture.readAll)
    } throws: { error in
      (error as? DatabaseError)?.extendedResultCode.rawValue == 8202
    }
  }

  @Test("one flipped bit in any page, at its start, middle, or in any field of its trailer, is an error")
  func flippedBits() throws {
    let fixture = try closedStore()
    let original = try fixture.read(fixture.path)
    let pages = try fixture.pageCount
    #expect(pages > 5)
    // In the body and in the salt, counter and tag of the trailer.
    for page in 1...pages {
      for offset in [0, 20, 2000, 4047, 4048 + 8, 4048 + 31, 4048 + 32, 4095] {
        try fixture.alter { $0[page * EncryptedFixture.pageLength + offset] ^= 1 << UInt8(offset % 8) }
        expectDamage(fixture, "page \(page), offset \(offset)")
        try fixture.write(original, fixture.path)
      }
      // In the key id and its check: the page asks for a key that nobody has.
      for offset in [4048, 4051, 4052, 4055] {
        try fixture.alter { $0[page * EncryptedFixture.pageLength + offset] ^= 1 }
        #expect(throws: DatabaseError.self) { try fixture.withPool(EncryptedFixture.readAll) }
        try fixture.write(original, fixture.path)
      }
    }
    #expect(try fixture.withPool(EncryptedFixture.readAll) == Array(1...60))
  }

  @Test("a page in the place of another is an error")
  func swappedPages() throws {
    let fixture = try closedStore()
    let original = try fixture.read(fixture.path)
    let pages = try fixture.pageCount
    for page in 1..<pages {
      try fixture.alter { data in
        let (first, second) = (EncryptedFixture.range(ofPage: page), EncryptedFixture.range(ofPage: page + 1))
        let kept = data.subdata(in: first)
        data.replaceSubrange(first, with: data.subdata(in: second))
        data.replaceSubrange(second, with: kept)
      }
      expectDamage(fixture, "pages \(page) and \(page + 1)")
      try fixture.write(original, fixture.path)
    }
  }

  @Test("a page of another store under the same key is an error")
  func foreignPage() throws {
    let (fixture, other) = (try closedStore(), try closedStore())
    let foreign = try other.read(other.path)
    for page in 1...(try fixture.pageCount) {
      let original = try fixture.read(fixture.path)
      let range = EncryptedFixture.range(ofPage: page)
      try fixture.alter { $0.replaceSubrange(range, with: foreign.subdata(in: range)) }
      expectDamage(fixture, "page \(page)")
      try fixture.write(original, fixture.path)
    }
  }

  @Test("a zeroed page is an error")
  func zeroedPages() throws {
    let fixture = try closedStore()
    let original = try fixture.read(fixture.path)
    for page in 1...(try fixture.pageCount) {
      try fixture.alter { $0.resetBytes(in: EncryptedFixture.range(ofPage: page)) }
      expectDamage(fixture, "page \(page)")
      try fixture.write(original, fixture.path)
    }
  }

  @Test("a file cut at or within any page is an error")
  func truncatedFile() throws {
    let fixture = try closedStore()
    let original = try fixture.read(fixture.path)
    for page in 2...(try fixture.pageCount) {
      for cut in [0, 1, 4095] {
        try fixture.write(original.prefix(page * EncryptedFixture.pageLength + cut), fixture.path)
        #expect(throws: DatabaseError.self) { try fixture.withPool(EncryptedFixture.readAll) }
      }
    }
  }

  @Test("a file cut at any page beside a WAL answers with the truth, if the WAL holds what was cut, or an error")
  func truncatedFileWithWAL() throws {
    let fixture = try closedStore()
    let pool = try fixture.pool()
    try EncryptedFixture.insert([61], into: pool)
    let crashed = try EncryptedFixture(copying: fixture)
    try pool.close()
    let original = try crashed.read(crashed.path)
    var errors = 0
    for page in 2...(try crashed.pageCount) {
      let copy = try EncryptedFixture(copying: crashed)
      try copy.write(original.prefix(page * EncryptedFixture.pageLength), copy.path)
      do {
        #expect(try copy.withPool(EncryptedFixture.readAll) == Array(1...61))
      } catch is DatabaseError {
        errors += 1
      }
    }
    #expect(errors > 0)
  }

  @Test("the header survives damage to one of its copies, and damage to both is said")
  func header() throws {
    let fixture = try closedStore()
    let original = try fixture.read(fixture.path)
    for copy in [0, 2048] {
      try fixture.alter { $0[copy + 30] ^= 1 }
      #expect(try fixture.withPool(EncryptedFixture.readAll) == Array(1...60))
      try fixture.write(original, fixture.path)
    }
    try fixture.alter {
      $0[30] ^= 1
      $0[2048 + 30] ^= 1
    }
    #expect(throws: EncryptedStorageError.notADatabase(path: fixture.path)) {
      try fixture.vfs.check(databaseAt: fixture.path)
    }
    #expect(throws: DatabaseError.self) { try fixture.withPool(EncryptedFixture.readAll) }
  }

  @Test("a crash while the file was being created leaves a path where a store can be created")
  func tornCreation() throws {
    let store = try closedStore()
    for length in [0, 1, 100, 2047, 4095, 4096] {
      let fixture = try EncryptedFixture()
      try fixture.write(try store.read(store.path).prefix(length), fixture.path)
      try fixture.vfs.check(databaseAt: fixture.path)
      try fixture.withPool { pool in
        try EncryptedFixture.create(pool)
        try EncryptedFixture.insert([1], into: pool)
      }
      #expect(try fixture.withPool(EncryptedFixture.readAll) == [1])
    }
  }

  @Test("another key under the same id, and a ring without the key, are told at open in one sentence")
  func wrongKeys() throws {
    let fixture = try closedStore()
    var text = Array("1:\(EncryptedFixture.hex(77))".utf8)
    let wrong = try EncryptedFixture(copying: fixture, try KeyRing(parsing: &text))
    #expect(throws: EncryptedStorageError.wrongKey(id: 1, path: wrong.path)) {
      try wrong.vfs.check(databaseAt: wrong.path)
    }
    let unknown = try EncryptedFixture(copying: fixture, EncryptedFixture.ring(2))
    #expect(throws: EncryptedStorageError.unknownKey(id: 1, path: unknown.path)) {
      try unknown.vfs.check(databaseAt: unknown.path)
    }
    for store in [wrong, unknown] {
      let before = try store.read(store.path)
      #expect {
        try store.pool()
      } throws: { error in
        (error as? DatabaseError)?.resultCode == .SQLITE_NOTADB
      }
      #expect(try store.read(store.path) == before)
    }
  }

  @Test("a ring that lacks the WAL's key is refused, and does not cut the log")
  func walUnderUnknownKey() throws {
    let fixture = try closedStore()
    let ring = try EncryptedFixture.ring(1, 2)
    let newer = try EncryptedFixture(copying: fixture, ring)
    let pool = try newer.pool()
    try EncryptedFixture.insert(61...70, into: pool)  // into the WAL, under key 2; the database is under key 1
    let crashed = try EncryptedFixture(copying: newer, EncryptedFixture.ring(1))
    #expect(throws: EncryptedStorageError.unknownKey(id: 2, path: crashed.path)) {
      try crashed.vfs.check(databaseAt: crashed.path)
    }
    let wal = try crashed.read(crashed.walPath)
    #expect(throws: DatabaseError.self) { try crashed.withPool(EncryptedFixture.readAll) }
    #expect(try crashed.read(crashed.walPath) == wal)
    let again = try EncryptedFixture(copying: crashed, ring)
    #expect(try again.withPool(EncryptedFixture.readAll) == Array(1...70))
    try pool.close()
  }
}
