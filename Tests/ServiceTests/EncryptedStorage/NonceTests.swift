internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Testing

/// Reads what the trailers of all files say, as an attacker would who has every state that was ever on the disk.
@Suite("Nonces")
struct NonceTests {
  /// (key id, salt, counter) of a trailer, and everything that was ever sealed under it.
  private final class Observer {
    private(set) var seen: [Data: Data] = [:]
    private(set) var repeats = 0

    private func note(_ region: Data, trailer: Data) {
      let name = trailer.prefix(4) + trailer.dropFirst(8).prefix(24)
      if name.allSatisfy({ $0 == 0 }) { return }
      if let before = seen.updateValue(Data(region), forKey: Data(name)), before != region { repeats += 1 }
    }

    func observe(_ fixture: EncryptedFixture) throws {
      let database = try fixture.read(fixture.path)
      for page in 1..<max(1, database.count / EncryptedFixture.pageLength) {
        let bytes = database.subdata(in: EncryptedFixture.range(ofPage: page))
        note(bytes.prefix(4048), trailer: bytes.suffix(48))
      }
      guard let wal = try? fixture.read(fixture.walPath) else { return }
      var start = EncryptedFixture.walHeaderLength
      while start + EncryptedFixture.frameLength <= wal.count {
        let frame = wal.subdata(in: start..<start + EncryptedFixture.frameLength)
        note(frame.dropFirst(16).dropLast(48), trailer: frame.suffix(48))
        start += EncryptedFixture.frameLength
      }
    }
  }

  @Test("no nonce seals two things, in a store, its copies, and what is written to each of them afterwards")
  func neverRepeated() throws {
    let observer = Observer()
    let origin = try EncryptedFixture()
    var stores = [origin]
    let pool = try origin.pool()
    try EncryptedFixture.create(pool)
    for id in 1...10 {
      try EncryptedFixture.insert([id], into: pool)
      try observer.observe(origin)
    }
    for _ in 0..<4 { stores.append(try EncryptedFixture(copying: origin)) }
    try pool.close()
    // Each goes its own way from the same state, the same operations at the same places; twice opened.
    for _ in 0..<2 {
      for store in stores {
        try store.withPool { pool in
          let next = try EncryptedFixture.readAll(pool).count + 1
          for id in next..<next + 10 {
            try EncryptedFixture.insert([id], into: pool)
            try observer.observe(store)
          }
          try pool.writeWithoutTransaction { _ = try $0.checkpoint(.passive) }
          try observer.observe(store)
        }
        try observer.observe(store)
      }
    }
    #expect(observer.seen.count > 200)
    #expect(observer.repeats == 0)
  }

  @Test("the same content is never the same bytes")
  func noEqualPages() throws {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try pool.write { database in
        try database.execute(sql: "CREATE TABLE zero (data BLOB)")
        for _ in 0..<100 { try database.execute(sql: "INSERT INTO zero VALUES (zeroblob(20000))") }
      }
    }
    let data = try fixture.read(fixture.path)
    let pages = (1...(try fixture.pageCount)).map { data.subdata(in: EncryptedFixture.range(ofPage: $0)).prefix(4048) }
    #expect(pages.count > 400)
    #expect(Set(pages.map { $0.prefix(64) }).count == pages.count)
  }
}
