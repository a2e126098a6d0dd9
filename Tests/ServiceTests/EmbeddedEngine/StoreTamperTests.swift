internal import EmbeddedEngine
internal import Foundation
internal import TestSupport
internal import Testing

/// Each test damages the files of a small encrypted store: whatever it answers afterwards is an error or the truth, and
/// what a look at one page cannot show (an older version of it), `verify` shows.
@Suite("A store whose files were tampered with") struct StoreTamperTests {
  private let store: TamperedStore

  init() async throws { store = try await TamperedStore() }

  @Test("a flipped bit in any page", arguments: [1, 2, 3])
  func flippedBit(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    try await store.forEachPage { page, database in
      database[page * 4096 + Int.random(in: 0..<4096, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      return true
    }
  }

  @Test("a page of zeros")
  func zeros() async throws {
    try await store.forEachPage { page, database in
      database.resetBytes(in: TamperedStore.range(of: page))
      return true
    }
  }

  @Test("a page and its neighbour in each other's places")
  func swapped() async throws {
    try await store.forEachPage { page, database in
      let (first, second) = (TamperedStore.range(of: page), TamperedStore.range(of: page + 1))
      guard second.upperBound <= database.count else { return false }
      let kept = database.subdata(in: first)
      database.replaceSubrange(first, with: database.subdata(in: second))
      database.replaceSubrange(second, with: kept)
      return true
    }
  }

  @Test("a file cut at or within any page", arguments: [0, 4095])
  func truncated(within: Int) async throws {
    try await store.forEachPage { page, database in
      guard page > 1 else { return false }
      database = database.prefix(page * 4096 + within)
      return true
    }
  }

  @Test("an older version of any page, from each of four earlier moments, is found by verify", arguments: 0..<4)
  func replayed(version: Int) async throws {
    let older = store.versions[version]
    try await store.forEachPage(knownTo: .verify) { page, database in
      let range = TamperedStore.range(of: page)
      guard range.upperBound <= older.count, older[range] != database[range] else { return false }
      database.replaceSubrange(range, with: older[range])
      return true
    }
  }

  @Test("a WAL cut at or within each frame opens at a commit before the cut, or is an error", arguments: [1])
  func cutWAL(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    try await store.forEachFrame(of: store.live) { start, wal in
      wal = wal.prefix(start + Int.random(in: 1..<4120, using: &random))
    }
    // This database is newer than what is left of its WAL.
    try await store.forEachFrame(of: store.checkpointed) { start, wal in wal = wal.prefix(start) }
  }

  @Test(
    "a WAL that is gone, or has lost its header, leaves the database as the last checkpoint left it",
    arguments: [0, 1, 31, 32])
  func lostHeader(length: Int) async throws {
    for files in [store.live, store.checkpointed] {
      var cut = files
      cut.wal = files.wal.prefix(length)
      try await store.expectTruth(cut, "WAL of \(length) bytes", knownTo: .reading, among: store.states)
    }
  }

  @Test("a WAL with a flipped bit in any frame opens at a commit before it, or is an error", arguments: [1])
  func flippedFrame(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    for files in [store.live, store.checkpointed] {
      try await store.forEachFrame(of: files) { start, wal in
        wal[start + Int.random(in: 0..<4120, using: &random)] ^= 1
      }
    }
  }
}
