internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import TestSupport
internal import Testing

@Suite("The encrypted write-ahead log")
struct WALTests {
  /// A crashed store: rows 1...commits in the WAL, one row a commit; `ends[i]` is the log's length after commit i + 1.
  private func crashedStore(commits: Int) throws -> (EncryptedFixture, ends: [Int]) {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool()
    try EncryptedFixture.create(pool)
    try pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
    var ends: [Int] = []
    for id in 1...commits {
      try EncryptedFixture.insert([id], into: pool)
      ends.append(try fixture.read(fixture.walPath).count)
    }
    let crashed = try EncryptedFixture(copying: fixture)
    try pool.close()
    return (crashed, ends)
  }

  private func frameStarts(_ length: Int) -> [Int] {
    Array(stride(from: EncryptedFixture.walHeaderLength, to: length, by: EncryptedFixture.frameLength))
  }

  @Test("cut at every frame and within each, the log ends at the last whole commit before the cut")
  func cuts() throws {
    let (crashed, ends) = try crashedStore(commits: 12)
    let wal = try crashed.read(crashed.walPath)
    #expect(ends.last == wal.count)
    for start in frameStarts(wal.count) {
      for within in [0, 1, 23, 24, 100, 4072, 4119] {
        let length = start + within
        let copy = try EncryptedFixture(copying: crashed)
        try copy.write(wal.prefix(length), copy.walPath)
        let whole = ends.filter { $0 <= length }.count
        #expect(try copy.withPool(EncryptedFixture.readAll) == Array(1..<(whole + 1)), "cut at \(length)")
      }
    }
  }

  @Test("a torn frame, whichever part of it is old, ends the log at the commit before it")
  func tornFrames() throws {
    let (crashed, ends) = try crashedStore(commits: 6)
    let wal = try crashed.read(crashed.walPath)
    for start in frameStarts(wal.count) {
      // Sectors of 512 bytes that never reached the disk.
      for sector in [0, 3, 7] {
        let copy = try EncryptedFixture(copying: crashed)
        var torn = wal
        torn.resetBytes(in: start + sector * 512..<min(start + (sector + 1) * 512, wal.count))
        try copy.write(torn, copy.walPath)
        let whole = ends.filter { $0 <= start }.count
        #expect(try copy.withPool(EncryptedFixture.readAll) == Array(1..<(whole + 1)), "frame at \(start)")
      }
    }
  }

  @Test("one flipped bit anywhere in a frame is a clean end or an error, never another answer")
  func flippedBits() throws {
    let (crashed, ends) = try crashedStore(commits: 4)
    let wal = try crashed.read(crashed.walPath)
    for start in frameStarts(wal.count) {
      for offset in [0, 3, 7, 8, 15, 16, 23, 24, 3000, 24 + 4048, 24 + 4053, 24 + 4060, 24 + 4095] {
        let copy = try EncryptedFixture(copying: crashed)
        var damaged = wal
        damaged[start + offset] ^= 0x10
        try copy.write(damaged, copy.walPath)
        let whole = ends.filter { $0 <= start }.count
        let isKeyField = (24 + 4048..<24 + 4056).contains(offset)
        if isKeyField {
          #expect(throws: DatabaseError.self) { try copy.withPool(EncryptedFixture.readAll) }
        } else {
          #expect(try copy.withPool(EncryptedFixture.readAll) == Array(1..<(whole + 1)), "\(start) + \(offset)")
        }
      }
    }
  }

  @Test("a committed frame that is damaged after recovery is an error to who reads it")
  func damagedAfterRecovery() throws {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool()
    try EncryptedFixture.create(pool)
    try EncryptedFixture.insert(1...50, into: pool)
    let wal = try FileHandle(forUpdating: URL(fileURLWithPath: fixture.walPath))
    for start in frameStarts(try fixture.read(fixture.walPath).count) {
      try wal.seek(toOffset: UInt64(start + 2000))
      let byte = try #require(try wal.read(upToCount: 1)?.first)
      try wal.seek(toOffset: UInt64(start + 2000))
      try wal.write(contentsOf: Data([byte ^ 1]))
    }
    try wal.close()
    try pool.close()  // checkpoints, which must not write what does not authenticate
    #expect {
      try fixture.withPool(EncryptedFixture.readAll)
    } throws: { error in
      error is DatabaseError
    }
  }

  @Test("a log that was written over keeps to its newest round")
  func restartedLog() throws {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool()
    try EncryptedFixture.create(pool)
    try EncryptedFixture.insert(1...200, into: pool)
    try pool.writeWithoutTransaction { _ = try $0.checkpoint(.restart) }
    let long = try fixture.read(fixture.walPath).count
    try EncryptedFixture.insert([201], into: pool)
    #expect(try fixture.read(fixture.walPath).count == long)  // old frames follow the new ones
    let crashed = try EncryptedFixture(copying: fixture)
    #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...201))
    try pool.close()
  }

  @Test("frames of the log's earlier round, or moved within the log, are not taken for new ones")
  func movedFrames() throws {
    let (crashed, ends) = try crashedStore(commits: 8)
    let wal = try crashed.read(crashed.walPath)
    let starts = frameStarts(wal.count)
    for (from, to) in zip(starts, starts.dropFirst()) {
      let copy = try EncryptedFixture(copying: crashed)
      var moved = wal
      moved.replaceSubrange(
        to..<to + EncryptedFixture.frameLength, with: wal.subdata(in: from..<from + EncryptedFixture.frameLength))
      try copy.write(moved, copy.walPath)
      let whole = ends.filter { $0 <= to }.count
      #expect(try copy.withPool(EncryptedFixture.readAll) == Array(1..<(whole + 1)))
    }
  }

  @Test("copied at any moment of a run, a store opens with every commit before the copy")
  func liveCopies() throws {
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool()
    try EncryptedFixture.create(pool)
    var random = SeededGenerator(seed: 5)
    var last = 0
    for _ in 0..<60 {
      let count = Int.random(in: 1...40, using: &random)
      try EncryptedFixture.insert(last + 1...last + count, into: pool)
      last += count
      if Int.random(in: 0..<4, using: &random) == 0 {
        try pool.writeWithoutTransaction { _ = try $0.checkpoint(.passive) }
      }
      let crashed = try EncryptedFixture(copying: fixture)
      #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...last))
    }
    try pool.close()
  }

  @Test("a log that has grown large gives its space back by parts of 8 MiB, one each time it begins anew")
  func shrinking() throws {
    let (limit, part) = (1 << 20, 8 << 20)
    let fixture = try EncryptedFixture()
    let pool = try fixture.pool { try $0.execute(sql: "PRAGMA journal_size_limit = \(limit)") }
    try EncryptedFixture.create(pool)
    try pool.write {
      try $0.execute(sql: "CREATE TABLE bulk (bytes BLOB); INSERT INTO bulk VALUES (randomblob(20000000))")
    }
    var length = try fixture.walLength
    #expect(length > limit + 2 * part)
    var id = 0
    while length > limit {
      try pool.writeWithoutTransaction { _ = try $0.checkpoint(.passive) }
      id += 1
      try EncryptedFixture.insert([id], into: pool)
      let expected = max(limit, length - part)
      length = try fixture.walLength
      #expect(length == expected)
    }
    #expect(id == 3)
    #expect(try EncryptedFixture.readAll(pool) == [1, 2, 3])
    try pool.close()
  }
}
