internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Subprocess
internal import TestSupport
internal import Testing

@Suite("Crashes") struct CrashTests {
  private static let table = TableSchema(
    name: "crash", indexes: [IndexSchema(name: "writer-index", partitionKey: "writer", sortKey: "place")])
  private static let writers = 64
  private static let rounds = longForm("CLINICAVOICE_STORE_KILLS", or: 5)

  /// kill -9 in the middle of 64 writers, again and again on the same files: as the store is opened, after some
  /// acknowledgements, or while it is encrypted anew, for which every second round brings a key.
  @Test("what was acknowledged before a kill -9 is there, and the store agrees with itself", arguments: [1])
  func killed(seed: UInt64) async throws {
    let fixture = StoreFixture()
    let keyFile = fixture.directory + "-keys"
    let backups = fixture.directory + "-backups"
    defer { for path in [keyFile, backups] { try? FileManager.default.removeItem(atPath: path) } }
    var random = SeededGenerator(seed: seed)
    var acknowledged = [Int](repeating: 0, count: Self.writers)
    for round in 1...Self.rounds {
      let newest = (round + 1) / 2
      try Self.writeKeys(1...newest, to: keyFile)
      let kill = Kill(
        acknowledgements: random.chance(20) ? 0 : Int.random(in: 1...1500, using: &random),
        delay: .random(in: 0...(random.chance(50) ? 1_000 : 60_000), using: &random))
      for (writer, number) in try await Self.run(fixture.directory, kill, keyFile: keyFile) {
        acknowledged[writer] = max(acknowledged[writer], number)
      }
      let keyRing = try KeySource.file(keyFile).load()
      try await fixture.withStore([Self.table], keyRing: keyRing) { store in
        try await Self.check(store, acknowledged)
        guard round == Self.rounds else { return }
        let keys = try await store.rekey().map(\.id)
        #expect(keys == [UInt32(newest)])
        try await Self.checkArchive(of: store, in: BackupDirectory(backups), keyRing: keyRing, acknowledged)
      }
    }
    #expect(acknowledged.reduce(0, +) > Self.rounds * 100)
  }

  @Test("the same without encryption", arguments: [2])
  func killedPlain(seed: UInt64) async throws {
    let fixture = StoreFixture()
    var random = SeededGenerator(seed: seed)
    var acknowledged = [Int](repeating: 0, count: Self.writers)
    for _ in 0..<max(1, Self.rounds / 5) {
      let kill = Kill(
        acknowledgements: Int.random(in: 1...1500, using: &random), delay: .random(in: 0...1_000, using: &random))
      for (writer, number) in try await Self.run(fixture.directory, kill) {
        acknowledged[writer] = max(acknowledged[writer], number)
      }
      try await fixture.withStore([Self.table]) { try await Self.check($0, acknowledged) }
    }
  }

  /// What was archived between and during all these kills, and what the last of them left to archive, is the store.
  private static func checkArchive(
    of store: EmbeddedStore, in backups: BackupDirectory, keyRing: KeyRing, _ acknowledged: [Int]
  ) async throws {
    let archive = try await store.archive(
      .init(backups: backups, retention: .seconds(86_400), snapshotInterval: .seconds(86_400)))
    try await archive.close()
    for folder in try backups.histories() {
      #expect(try ArchiveVerification(folder, keyRing: keyRing).run().problems == [])
    }
    let restored = StoreFixture()
    let result = try StoreRestore(
      backups: backups, instant: systemStoreClock(), destination: restored.directory, environment: "test",
      tables: [table], keyRing: keyRing
    ).run(nil) { _ in true }
    #expect(result.position == store.commits.end)
    try await restored.withStore([table], keyRing: keyRing) { try await check($0, acknowledged) }
  }

  private static func writeKeys(_ ids: ClosedRange<Int>, to path: String) throws {
    let keys = ids.map { "\($0):" + String(repeating: String(40 + $0), count: 32) }.joined(separator: "\n")
    #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]))
    try keys.write(toFile: path, atomically: false, encoding: .utf8)
  }

  private static func check(_ store: EmbeddedStore, _ acknowledged: [Int]) async throws {
    let report = try await store.verify()
    #expect(report.problems == [])
    for (writer, number) in acknowledged.enumerated() { try await check(store, writer, atLeast: number) }
  }

  /// A writer's items are 1…counter without gaps, in the table and in the index, and the counter has every ack.
  private static func check(_ store: EmbeddedStore, _ writer: Int, atLeast acknowledged: Int) async throws {
    let counter = try await store.get(ItemKey("counter-\(writer)", "c"), from: table)?["number"]?.numberValue ?? 0
    #expect(counter >= acknowledged)
    var query = Query(table, index: "writer-index", partition: "writer-\(writer)", limit: 1000)
    var places: Set<Int> = []
    repeat {
      let page = try await store.query(query)
      places.formUnion(page.items.compactMap { $0["place"]?.stringValue.flatMap { Int($0) } })
      query.exclusiveStart = page.next
    } while query.exclusiveStart != nil
    #expect(places == Set(0..<Int(counter)).reduce(into: Set()) { $0.insert($1 + 1) })
  }

  /// When the writers are killed.
  private struct Kill {
    /// After so many; 0: while the store is being opened, perhaps.
    var acknowledgements: Int
    /// Microseconds after that.
    var delay: UInt32
  }

  /// Runs the writer until it kills itself, and returns all it acknowledged.
  private static func run(
    _ directory: String, _ kill: Kill, keyFile: String? = nil
  ) async throws -> [(writer: Int, number: Int)] {
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("store-crash-writer")
    let result = try await Subprocess.run(
      .path(.init(program.path)),
      arguments: .init(
        [directory, String(writers), String(kill.acknowledgements), String(kill.delay)] + (keyFile.map { [$0] } ?? [])),
      output: .string(limit: 64 << 20), error: .currentStandardError)
    #expect(result.terminationStatus == .signaled(SIGKILL))
    return result.standardOutput.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ").compactMap { Int($0) }
      return parts.count == 2 ? (parts[0], parts[1]) : nil
    }
  }
}
