internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Synchronization
internal import TestSupport
internal import Testing

@Suite("Encrypting a store under a new key")
struct RekeyTests {
  private static let rows = 6000

  /// A closed store of some 600 pages under key 1, seen with a ring whose newest key is 2.
  private func store(rows: Int = rows) throws -> EncryptedFixture {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      try EncryptedFixture.insert(1...rows, into: pool)
    }
    return try EncryptedFixture(copying: fixture, EncryptedFixture.ring(1, 2))
  }

  /// The ids of the keys in use.
  private func keys(_ fixture: EncryptedFixture) throws -> [UInt32] {
    try fixture.vfs.keysInUse(databaseAt: fixture.path).map(\.id)
  }

  @Test("to completion: with progress, and the old key is needed no more")
  func completion() throws {
    let fixture = try store()
    #expect(try keys(fixture) == [1])
    var steps: [EncryptedVFS.RekeyProgress] = []
    let left = try fixture.vfs.rekey(databaseAt: fixture.path) {
      steps.append($0)
      return true
    }
    let pages = try fixture.pageCount
    #expect(left.map(\.id) == [2])
    #expect(left.first?.pages == UInt64(pages))
    #expect(left.first?.frames == 0)
    #expect(steps.count == (pages + 255) / 256)
    #expect(steps.map(\.pages) == steps.map(\.pages).sorted())
    #expect(steps.last?.pages == UInt32(pages))
    #expect(steps.last?.rewritten == UInt64(pages))
    let alone = try EncryptedFixture(copying: fixture, EncryptedFixture.ring(2))
    try alone.vfs.check(databaseAt: alone.path)
    #expect(try alone.withPool(EncryptedFixture.readAll) == Array(1...Self.rows))
    #expect(!FileManager.default.fileExists(atPath: fixture.path + "-rekey"))
  }

  @Test("once more changes nothing")
  func idempotent() throws {
    let fixture = try store(rows: 500)
    _ = try fixture.vfs.rekey(databaseAt: fixture.path)
    let before = try fixture.read(fixture.path)
    var rewritten: UInt64 = 0
    _ = try fixture.vfs.rekey(databaseAt: fixture.path) {
      rewritten = $0.rewritten
      return true
    }
    #expect(rewritten == 0)
    #expect(try fixture.read(fixture.path) == before)
  }

  @Test("new writes are under the newest key at once, without a rekey and without a restart")
  func newestKey() throws {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      #expect(try keys(fixture) == [1])
      var key = [UInt8](repeating: 9, count: KeyRing.keyLength)
      try fixture.vfs.keyRing.add(id: 7, key: &key)
      try EncryptedFixture.insert([1], into: pool)
      #expect(try keys(fixture) == [1, 7])
    }
  }

  @Test("interrupted after each step, it goes on where it was and ends")
  func resumed() throws {
    let fixture = try store()
    var left = 100
    var total: UInt64 = 0
    while left > 0 {
      left -= 1
      var mine: UInt64 = 0
      do {
        _ = try fixture.vfs.rekey(databaseAt: fixture.path) { progress in
          mine = progress.rewritten
          return mine == 0 || progress.pages == progress.total
        }
        total += mine
        break
      } catch EncryptedStorageError.interrupted { total += mine }
      let crashed = try EncryptedFixture(copying: fixture)
      #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...Self.rows))
    }
    #expect(left > 0)
    #expect(total == UInt64(try fixture.pageCount))
    #expect(try keys(fixture) == [2])
  }

  @Test("beside a writer, readers and checkpoints, nothing is lost and nobody sees an error")
  func online() throws {
    let fixture = try store()
    let pool = try fixture.pool { try $0.execute(sql: "PRAGMA cache_size = 10") }  // so that reads reach the file
    let (path, vfs) = (fixture.path, fixture.vfs)
    let finished = Flag()
    let read: @Sendable () throws -> Int = {
      repeat {
        let (count, last) = try pool.read { database in
          let row = try Row.fetchOne(
            database, sql: "SELECT count(text), max(id) FROM item WHERE text LIKE '%-' || id || '-%'")
          return (row?[0] as Int?, row?[1] as Int?)
        }
        if count != last { throw EncryptedFixture.WrongAnswer() }
      } while !finished.isSet
      return 0
    }
    let results = onThreads([
      {
        defer { finished.set() }
        _ = try vfs.rekey(databaseAt: path)
        return 0
      },
      {
        var id = Self.rows
        repeat {
          id += 1
          try EncryptedFixture.insert([id], into: pool)
          if id % 20 == 0 { try? pool.writeWithoutTransaction { _ = try $0.checkpoint(.passive) } }
        } while !finished.isSet
        return id
      }, read, read,
    ])
    let last = try results.map { try $0.get() }.max() ?? 0
    #expect(try EncryptedFixture.readAll(pool) == Array(1...last))
    try pool.close()
    let alone = try EncryptedFixture(copying: fixture, EncryptedFixture.ring(2))
    #expect(try alone.withPool(EncryptedFixture.readAll) == Array(1...last))
  }

  @Test("a page that a crash tore while it was overwritten is mended from the copy beside the database")
  func mended() throws {
    let fixture = try store()
    let before = try fixture.read(fixture.path)
    _ = try fixture.vfs.rekey(databaseAt: fixture.path)
    let after = try fixture.read(fixture.path)
    // As a step leaves it when power fails: the copy is whole, some pages are old, some new, one is half of each.
    var random = SeededGenerator(seed: 3)
    for _ in 0..<20 {
      let first = Int.random(in: 1...(try fixture.pageCount - 256), using: &random)
      let torn = Int.random(in: first..<first + 256, using: &random)
      var records = Data()
      var mixed = before
      for page in first..<first + 256 {
        let range = EncryptedFixture.range(ofPage: page)
        records += withUnsafeBytes(of: UInt32(page).bigEndian) { Data($0) } + after.subdata(in: range)
        let written = page < torn ? range : page == torn ? range.lowerBound..<range.lowerBound + 512 : range.prefix(0)
        mixed.replaceSubrange(written, with: after.subdata(in: written))
      }
      let crashed = try EncryptedFixture(fixture.vfs.keyRing)
      try crashed.write(mixed, crashed.path)
      #expect(throws: DatabaseError.self) { try crashed.withPool(EncryptedFixture.readAll) }
      try crashed.write(records, crashed.path + "-rekey")
      #expect(try crashed.withPool(EncryptedFixture.readAll) == Array(1...Self.rows))
      _ = try crashed.vfs.rekey(databaseAt: crashed.path)
      #expect(try keys(crashed) == [2])
    }
  }

  @Test("a read that sees half of a page being overwritten reads again")
  func readDuringOverwrite() throws {
    let fixture = try store(rows: 500)
    let old = try fixture.read(fixture.path)
    _ = try fixture.vfs.rekey(databaseAt: fixture.path)
    let new = try fixture.read(fixture.path)
    let pool = try fixture.pool { try $0.execute(sql: "PRAGMA cache_size = 5") }
    #expect(try EncryptedFixture.readAll(pool) == Array(1...500))
    // A step that never ends, on every page, in two writes each; what it writes is always the one or the other.
    try fixture.write(Data([0]), fixture.path + "-rekey")
    let finished = Flag()
    let path = fixture.path
    let results = onThreads([
      {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        var round = 0
        repeat {
          round += 1
          for page in 2..<old.count / EncryptedFixture.pageLength {
            let range = EncryptedFixture.range(ofPage: page)
            for half in [range.prefix(1000), range.dropFirst(1000)] {
              try file.seek(toOffset: UInt64(half.lowerBound))
              try file.write(contentsOf: (round % 2 == 0 ? new : old).subdata(in: half))
            }
          }
        } while !finished.isSet
        return round
      },
      {
        defer { finished.set() }
        for _ in 0..<30 where try EncryptedFixture.readAll(pool) != Array(1...500) {
          throw EncryptedFixture.WrongAnswer()
        }
        return 0
      },
    ])
    for result in results { _ = try result.get() }
    try pool.close()
  }

  @Test("a copy beside the database that is cut, old, or nonsense changes no sound page")
  func staleCopy() throws {
    let fixture = try store(rows: 500)
    let old = try fixture.read(fixture.path)
    let oldPages = try fixture.pageCount
    try fixture.withPool { try $0.write { try $0.execute(sql: "DELETE FROM item WHERE id > 250") } }
    let current = try fixture.read(fixture.path)
    var records = Data()
    for page in 1...oldPages {
      let range = EncryptedFixture.range(ofPage: page)
      records += withUnsafeBytes(of: UInt32(page).bigEndian) { Data($0) } + old.subdata(in: range)
    }
    let nonsense = Data(repeating: 0xff, count: 20_000)
    for copy in [records, records.dropLast(100), nonsense, Data([1])] {
      try fixture.write(Data(copy), fixture.path + "-rekey")
      #expect(try fixture.withPool(EncryptedFixture.readAll) == Array(1...250))
      #expect(try fixture.read(fixture.path) == current)
    }
  }

  @Test("a damaged page stops it with an error and stays as it is")
  func damagedPage() throws {
    let fixture = try store(rows: 500)
    try fixture.alter { $0[EncryptedFixture.range(ofPage: 20).lowerBound + 100] ^= 1 }
    let before = try fixture.read(fixture.path)
    #expect(throws: EncryptedStorageError.damaged(path: fixture.path)) {
      try fixture.vfs.rekey(databaseAt: fixture.path)
    }
    #expect(try fixture.read(fixture.path) == before)
  }
}

private final class Flag: Sendable {
  private let state = Mutex(false)

  var isSet: Bool { state.withLock { $0 } }
  func set() { state.withLock { $0 = true } }
}

/// Runs each body on a thread of its own, since they block, and waits for all.
private func onThreads(_ bodies: [@Sendable () throws -> Int]) -> [Result<Int, any Error>] {
  let results = Results()
  let group = DispatchGroup()
  for body in bodies {
    group.enter()
    Thread.detachNewThread {
      results.append(Result(catching: body))
      group.leave()
    }
  }
  group.wait()
  return results.all
}

private final class Results: Sendable {
  private let state = Mutex<[Result<Int, any Error>]>([])

  var all: [Result<Int, any Error>] { state.withLock { $0 } }
  func append(_ result: Result<Int, any Error>) { state.withLock { $0.append(result) } }
}
