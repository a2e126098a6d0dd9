internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

@testable internal import EmbeddedEngine

/// Each test damages the files of an archive: what is restored afterwards is the truth, or nothing is.
@Suite("A damaged archive") struct ArchiveDamageTests {
  private let fixture: ArchiveFixture
  /// After each of the items p0, p1, p2, which are in a segment each.
  private let instants: [Int64]

  init() async throws {
    let fixture = try ArchiveFixture()
    var instants: [Int64] = []
    for round in 0..<3 {
      try await fixture.withArchive { store, _ in try await fixture.put("p\(round)", in: store) }
      instants.append(ArchiveFixture.instant())
    }
    self.fixture = fixture
    self.instants = instants
  }

  private func verify() throws -> [String] {
    try ArchiveVerification(fixture.folder(), keyRing: fixture.keyRing, storeDirectory: fixture.directory).run()
      .problems
  }

  private func alter(_ path: String, _ change: (inout Data) -> Void) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    change(&data)
    try data.write(to: URL(fileURLWithPath: path))
  }

  /// Each instant gives its items or an error, and an error if it is one of `lost`.
  private func expect(lost: Range<Int>, _ remark: Comment? = nil) async throws {
    for (number, instant) in instants.enumerated() {
      do throws(ArchiveError) {
        let directory = fixture.root + "/restored-\(UUID().uuidString)"
        _ = try StoreRestore(
          backups: fixture.backups, instant: instant, destination: directory, environment: "test",
          tables: [ArchiveFixture.table], keyRing: fixture.keyRing
        ).run(nil) { _ in true }
        #expect(!lost.contains(number), remark)
        let items = try? await fixture.items(in: directory, owners: ["o"])
        #expect(Set(items?.keys.map(\.partition) ?? []) == Set((0...number).map { "p\($0)" }), remark)
      } catch {
        switch error {
        case .gap, .sealed: break
        default: Issue.record("\(error)")
        }
      }
    }
  }

  @Test("one flipped bit anywhere in a segment is told by verify, and gives no wrong answer")
  func flippedBits() async throws {
    let segment = try #require(fixture.folder().segments().dropFirst().first)
    let original = try Data(contentsOf: URL(fileURLWithPath: segment.path))
    for offset in stride(from: 0, to: original.count, by: 7) {
      // The end of a header is zeros that mean nothing.
      if (32..<64).contains(offset) { continue }
      try alter(segment.path) { $0[offset] ^= 1 << UInt8(offset % 8) }
      #expect(try verify() != [], "offset \(offset)")
      if offset % 5 == 0 { try await expect(lost: 0..<0, "offset \(offset)") }
      try original.write(to: URL(fileURLWithPath: segment.path))
    }
    #expect(try verify() == [])
    try await expect(lost: 0..<0)
  }

  @Test("a segment that is gone, or cut, is told by verify, and costs at most the records that were in it and later")
  func missingSegment() async throws {
    let segment = try #require(fixture.folder().segments().dropFirst().first)
    let original = try Data(contentsOf: URL(fileURLWithPath: segment.path))
    for length in [original.count - 1, original.count - 80, original.count / 2, 70, 10, 0] {
      try original.prefix(length).write(to: URL(fileURLWithPath: segment.path))
      #expect(try verify() != [], "\(length) bytes")
      try await expect(lost: 0..<0, "\(length) bytes")
    }
    try original.prefix(70).write(to: URL(fileURLWithPath: segment.path))
    try await expect(lost: 1..<3)
    try FileManager.default.removeItem(atPath: segment.path)
    try await expect(lost: 1..<3)
    #expect(try verify() != [])
  }

  @Test("a segment in the place of another, or of another archive under the same key, is an error")
  func foreignSegment() async throws {
    let segments = try fixture.folder().segments()
    let last = try #require(segments.last)
    try FileManager.default.removeItem(atPath: segments[1].path)
    try FileManager.default.copyItem(atPath: last.path, toPath: segments[1].path)
    #expect(try verify() != [])
    try await expect(lost: 1..<3)
  }

  @Test("a snapshot that does not authenticate gives no store, and verify tells which")
  func damagedSnapshot() async throws {
    let snapshot = try #require(fixture.folder().snapshots().first)
    let original = try Data(contentsOf: URL(fileURLWithPath: snapshot.path))
    for page in 1..<original.count / 4096 {
      try alter(snapshot.path) { $0[page * 4096 + 100] ^= 4 }
      #expect(try verify().contains { $0.hasPrefix(snapshot.path) }, "page \(page)")
      #expect(throws: ArchiveError.self) { try fixture.restore(to: instants[0]) }
      try original.write(to: URL(fileURLWithPath: snapshot.path))
    }
  }

  @Test("a store whose journal says otherwise than its archive is found")
  func otherJournal() async throws {
    let other = try ArchiveFixture(keyRing: fixture.keyRing)
    try await other.withArchive { store, _ in
      for id in ["x", "y", "z"] { try await other.put(id, in: store) }
    }
    let problems = try ArchiveVerification(
      fixture.folder(), keyRing: fixture.keyRing, storeDirectory: other.directory
    ).run().problems
    #expect(problems.count == 3)
  }
}
