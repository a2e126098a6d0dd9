internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

@testable internal import EmbeddedEngine

@Suite("Before a migration") struct MigrationSnapshotTests {
  private let fixture: ArchiveFixture

  init() throws { fixture = try ArchiveFixture() }

  /// Leaves the store as an earlier release would.
  private func setBack(_ format: Int) throws {
    let database = try StoreDatabase(path: fixture.directory + "/store.sqlite", keyRing: fixture.keyRing)
    let connection = try RawConnection(database.name, create: false)
    try connection.execute("PRAGMA user_version = \(format)")
    try connection.close()
    database.close()
  }

  private func format(of path: String) throws -> Int64? {
    let database = try StoreDatabase(path: path, keyRing: fixture.keyRing)
    defer { database.close() }
    return try RawConnection(database.name, create: false).integers("PRAGMA user_version")?.first
  }

  @Test("the archive gets a snapshot in the old format, which is kept, and the store can be restored from it")
  func archived() async throws {
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("a", in: store) }
    try setBack(1)
    try await fixture.withArchive { [fixture] store, _ in try await fixture.put("b", in: store) }
    let kept = try fixture.folder().snapshots().filter { $0.kind == .migration }
    #expect(try kept.map { try format(of: $0.path) } == [1])
    let (directory, result) = try fixture.restore(to: try #require(kept.first).takenAt)
    #expect(result.snapshot.kind == .migration)
    #expect(try await fixture.items(in: directory, owners: ["o"]).count == 1)
  }

  @Test("a store that has no archive gets a copy beside it, once")
  func beside() async throws {
    var configuration = fixture.configuration()
    configuration.backups = nil
    for format in [nil, 1, nil] as [Int?] {
      if let format { try setBack(format) }
      let store = try await EmbeddedStore.open(configuration)
      try await store.close()
    }
    let copies = try FileManager.default.contentsOfDirectory(atPath: fixture.directory)
      .filter { $0.hasPrefix("before-format-2-") && $0.hasSuffix(".sqlite") }
    #expect(copies.count == 1)
    #expect(try format(of: fixture.directory + "/" + #require(copies.first)) == 1)
  }
}
