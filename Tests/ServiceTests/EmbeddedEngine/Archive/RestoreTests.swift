internal import Foundation
internal import Storage
internal import Synchronization
internal import Testing
internal import TestSupport

@testable internal import EmbeddedEngine

@Suite("Restoring") struct RestoreTests {
  private let fixture: ArchiveFixture

  init() throws { fixture = try ArchiveFixture() }

  /// What the clients of a store know: what they wrote, without a look at the store.
  private final class Recorder: Sendable {
    private let items = Mutex<[ItemKey: Item]>([:])
    private let seen = Mutex<[(instant: Int64, items: [ItemKey: Item])]>([])

    func wrote(_ item: Item?, _ key: ItemKey) { items.withLock { $0[key] = item } }
    func remember() {
      let now = items.withLock { $0 }
      seen.withLock { $0.append((ArchiveFixture.instant(), now)) }
    }
    var moments: [(instant: Int64, items: [ItemKey: Item])] { seen.withLock { $0 } }
  }

  @Test(
    "to any instant of a busy run gives what its clients had written by then", arguments: [UInt64(7)])
  func randomInstants(seed: UInt64) async throws {
    let moments = longForm("CLINICAVOICE_RESTORE_INSTANTS", or: 8)
    let mutations = longForm("CLINICAVOICE_RESTORE_MUTATIONS", or: 2000)
    let (writers, recorder) = (8, Recorder())
    let owners = (0..<writers).map { "owner-\($0)" }
    try await fixture.withArchive { store, archive in
      for moment in 0..<moments {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for writer in 0..<writers {
            group.addTask {
              var random = SeededGenerator(seed: seed &* 1000 &+ UInt64(moment * writers + writer))
              for number in 0..<mutations / moments / writers {
                let key = ItemKey("n-\(writer)-\(Int.random(in: 0..<60, using: &random))", "u")
                if Int.random(in: 0..<4, using: &random) == 0 {
                  try await store.transact([.delete(key, in: ArchiveFixture.table)])
                  recorder.wrote(nil, key)
                } else {
                  let item = ArchiveFixture.note(key.partition, owner: owners[writer], "\(moment)-\(number)")
                  try await store.transact([.put(item, in: ArchiveFixture.table)])
                  recorder.wrote(item, key)
                }
              }
            }
          }
          // Some restores begin from these.
          if moment % 3 == 1 { group.addTask { _ = try await archive.snapshot(.manual) } }
          try await group.waitForAll()
        }
        recorder.remember()
      }
    }
    for (instant, expected) in recorder.moments {
      let (directory, result) = try fixture.restore(to: instant)
      #expect(result.report.problems == [])
      let found = try await fixture.items(in: directory, owners: owners)
      #expect(found == expected)
    }
    let snapshots = Set(try recorder.moments.map { try fixture.restore(to: $0.instant).result.snapshot })
    #expect(snapshots.count > 1)
  }

  @Test("never touches a directory that exists, and leaves nothing behind when it fails")
  func neverOverwrites() async throws {
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("a", in: store) }
    let before = try Data(contentsOf: URL(fileURLWithPath: fixture.directory + "/store.sqlite"))
    #expect(throws: ArchiveError.destinationExists(path: fixture.directory)) {
      try fixture.restore(to: ArchiveFixture.instant(), into: "store")
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: fixture.directory + "/store.sqlite")) == before)
    #expect(throws: ArchiveError.keys(.unknownKey(id: 1, path: try #require(fixture.snapshots().first)))) {
      try fixture.restore(to: ArchiveFixture.instant(), into: "other", keyRing: ArchiveFixture.ring(2))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.root).sorted() == ["backups", "store"])
  }

  @Test("to before the first snapshot is refused with the oldest instant that can be had")
  func tooOld() async throws {
    let before = ArchiveFixture.instant()
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("a", in: store) }
    let oldest = try #require(fixture.folder().snapshots().first?.takenAt)
    #expect(throws: ArchiveError.tooOld(oldest: oldest)) { try fixture.restore(to: before) }
    #expect(throws: ArchiveError.unknownHistory(name: "x-1", path: fixture.backups.path)) {
      try fixture.restore(to: oldest, history: "x-1")
    }
  }

  @Test("gives a store with a life of its own, which is archived beside its origin and restored in its turn")
  func livesOn() async throws {
    let first = try await fixture.withArchive { [fixture] store, _ in
      try await fixture.put("a", "b", in: store)
      let instant = ArchiveFixture.instant()
      try await fixture.put("lost", in: store)
      return instant
    }
    let (directory, result) = try fixture.restore(to: first)
    #expect(result.reachesBeyond)
    let second = try await fixture.withArchive(directory) { [fixture] store, archive in
      #expect(archive.folder.history != result.folder.history)
      try await fixture.put("c", in: store)
      return ArchiveFixture.instant()
    }
    let again = try fixture.restore(to: second)
    #expect(again.result.folder.name != result.folder.name)
    let items = try await fixture.items(in: again.directory, owners: ["o"])
    #expect(Set(items.keys.map(\.partition)) == ["a", "b", "c"])
    // The origin's history is still there to be asked for, also for later instants.
    let origin = try fixture.restore(to: second, history: result.folder.name)
    let all = try await fixture.items(in: origin.directory, owners: ["o"])
    #expect(Set(all.keys.map(\.partition)) == ["a", "b", "lost"])
  }

  @Test("works under the newest key after the keys have changed, as long as the ring still has the older ones")
  func changedKeys() async throws {
    try await fixture.withArchive { [fixture] store, _ in
      try await fixture.put("a", in: store)
      var key = [UInt8](repeating: 9, count: 32)
      try fixture.keyRing.add(id: 5, key: &key)
      try await fixture.put("b", in: store)
    }
    let summary = try ArchiveSummary(fixture.folder(), keyRing: fixture.keyRing)
    #expect(try summary.keysInUse(keyRing: fixture.keyRing) == [1, 5])
    let (directory, _) = try fixture.restore(to: ArchiveFixture.instant())
    let items = try await fixture.items(in: directory, owners: ["o"])
    #expect(items.count == 2)
    let store = try await EmbeddedStore.open(fixture.configuration(directory))
    #expect(try await store.keysInUse().map(\.id) == [5])
    try await store.close()
  }
}

extension ArchiveFixture {
  /// The only history there is.
  func folder() throws -> ArchiveFolder {
    let folders = try backups.histories()
    try #require(folders.count == 1)
    return folders[0]
  }

  func snapshots() throws -> [String] { try folder().snapshots().map(\.path) }
}
