internal import Foundation
internal import Storage
internal import Testing

@testable internal import EmbeddedEngine

@Suite("The archive of a store") struct ArchiveTests {
  private let fixture: ArchiveFixture

  init() throws { fixture = try ArchiveFixture() }

  private func names(of directory: String) async throws -> Set<String> {
    Set(try await fixture.items(in: directory, owners: ["o"]).keys.map(\.partition))
  }

  private func restored(to instant: Int64) async throws -> Set<String> {
    try await names(of: fixture.restore(to: instant).directory)
  }

  private func verify() throws -> ArchiveReport {
    try ArchiveVerification(fixture.folder(), keyRing: fixture.keyRing, storeDirectory: fixture.directory).run()
  }

  @Test("is with the store's last commit without anybody asking")
  func follows() async throws {
    try await fixture.withArchive { [fixture] store, archive in
      for number in 0..<20 { try await fixture.put("p\(number)", in: store) }
      while archive.position != store.commits.end { await Task.yield() }
    }
    let report = try verify()
    #expect(report.problems == [])
    #expect(report.transactions == 20)
  }

  @Test("goes on in the segment that a crash left, without what was not whole")
  func crash() async throws {
    let crashed = try await fixture.withArchive { [fixture] store, archive in
      try await fixture.put("a", "b", in: store)
      while archive.position != store.commits.end { await Task.yield() }
      return try ArchiveFixture(copying: fixture)
    }
    let open = try #require(crashed.folder().segments().first)
    #expect(!open.isComplete)
    // The beginning of a frame that never became whole.
    let handle = try #require(FileHandle(forWritingAtPath: open.path))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data([2, 0, 0, 0, 0, 0, 1, 0, 7, 7]))
    try handle.close()
    try await crashed.withArchive { store, _ in try await crashed.put("c", in: store) }
    let segments = try crashed.folder().segments()
    #expect(segments.map(\.isComplete) == [true])
    let report = try ArchiveVerification(
      crashed.folder(), keyRing: crashed.keyRing, storeDirectory: crashed.directory
    ).run()
    #expect(report.problems == [])
    let (directory, _) = try crashed.restore(to: ArchiveFixture.instant())
    #expect(Set(try await crashed.items(in: directory, owners: ["o"]).keys.map(\.partition)) == ["a", "b", "c"])
  }

  @Test("tells of a journal that it cannot write, and catches up by itself when it can")
  func failing() async throws {
    let away = fixture.root + "/away"
    try await fixture.withArchive { [fixture] store, archive in
      try FileManager.default.moveItem(atPath: archive.folder.journalFolder, toPath: away)
      try await fixture.put("a", in: store)
      while !fixture.events.contains(where: { if case .failing = $0 { true } else { false } }) { await Task.yield() }
      #expect(archive.position.sequence == 0)
      try FileManager.default.moveItem(atPath: away, toPath: archive.folder.journalFolder)
      while archive.position != store.commits.end { await Task.yield() }
      while !fixture.events.contains(.recovered) { await Task.yield() }
    }
    #expect(try verify().problems == [])
    #expect(try await restored(to: ArchiveFixture.instant()) == ["a"])
  }

  @Test("of a store that was set back gets a new branch, and both can be restored")
  func setBack() async throws {
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("a", in: store) }
    let copy = fixture.root + "/copy"
    try FileManager.default.copyItem(atPath: fixture.directory, toPath: copy)
    let before = try await fixture.withArchive { [fixture] store, _ in
      try await fixture.put("b", in: store)
      return ArchiveFixture.instant()
    }
    try FileManager.default.removeItem(atPath: fixture.directory)
    try FileManager.default.moveItem(atPath: copy, toPath: fixture.directory)
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("c", in: store) }
    #expect(try fixture.backups.histories().map(\.branch).sorted() == [1, 2])
    #expect(try await restored(to: before) == ["a", "b"])
    #expect(try await restored(to: ArchiveFixture.instant()) == ["a", "c"])
  }

  @Test("a second process is kept out")
  func locked() async throws {
    try await fixture.withArchive { [fixture] store, archive in
      await #expect(throws: ArchiveError.inUse(path: archive.folder.path)) {
        _ = try await store.archive(fixture.archiveConfiguration())
      }
    }
  }

  @Test("holds nothing in clear")
  func nothingInClear() async throws {
    try await fixture.withArchive { [fixture] store, archive in
      try await fixture.put("secret-id", in: store, text: "Lovelace")
      _ = try await archive.snapshot(.manual)
      try await fixture.put("another-id", in: store, text: "Babbage")
    }
    let files = try #require(FileManager.default.enumerator(atPath: fixture.backups.path))
    var count = 0
    for case let name as String in files {
      guard let data = FileManager.default.contents(atPath: fixture.backups.path + "/" + name) else { continue }
      count += 1
      for word in ["secret-id", "another-id", "Lovelace", "Babbage", "notes", "owner-index"] {
        #expect(data.range(of: Data(word.utf8)) == nil, "\(word) in \(name)")
      }
    }
    #expect(count >= 4)
  }

  @Test("begins with a snapshot of its own when the tables have changed, so that records mean what they meant")
  func changedTables() async throws {
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("a", in: store) }
    let before = ArchiveFixture.instant()
    let more = TableSchema(name: "more")
    try await fixture.withArchive(tables: [more, ArchiveFixture.table]) { [fixture] store, _ in
      try await fixture.put("b", in: store)
    }
    #expect(try fixture.folder().snapshots().count == 2)
    #expect(try verify().problems == [])
    #expect(try await restored(to: before) == ["a"])
    #expect(try await restored(to: ArchiveFixture.instant()) == ["a", "b"])
  }

  @Test("keeps what an instant within the retention needs, and what was asked for, and deletes the rest")
  func retention() async throws {
    var instants: [Int64] = []
    for round in 0..<4 {
      try await fixture.withArchive { [fixture] store, archive in
        try await fixture.put("p\(round)", in: store)
        while archive.position != store.commits.end { await Task.yield() }
        _ = try await archive.snapshot(round == 0 ? .manual : .scheduled)
      }
      instants.append(ArchiveFixture.instant())
    }
    let folder = try fixture.folder()
    #expect(try ArchiveRetention.enforce(in: folder, horizon: instants[2]) > 0)
    #expect(try folder.snapshots().map(\.kind) == [.manual, .scheduled, .scheduled])
    #expect(try await restored(to: instants[2]) == ["p0", "p1", "p2"])
    #expect(try await restored(to: instants[3]) == ["p0", "p1", "p2", "p3"])
    #expect(try verify().problems == [])
    // The manual snapshot stands for its own moment still.
    let manual = try #require(folder.snapshots().first)
    #expect(try await restored(to: manual.takenAt) == ["p0"])
    #expect(try ArchiveRetention.enforce(in: folder, horizon: instants[2]) == 0)
  }
}
