internal import EmbeddedEngine
internal import Foundation
internal import GRDB
internal import Storage
internal import Testing

@Suite("Checkpoints")
struct CheckpointTests {
  private let fixture = StoreFixture()
  private static let pages = 32
  private static let text = AttributeValue.string(String(repeating: "x", count: 20_000))

  private func open() async throws -> EmbeddedStore {
    var configuration = fixture.configuration()
    configuration.checkpointPages = Self.pages
    configuration.groupSize = 1
    return try await .open(configuration)
  }

  /// 100 items of 20 kB by writers that never pause: 4 MB and more of WAL, with the journal.
  private func write(to store: EmbeddedStore) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<4 {
        group.addTask {
          for number in 0..<25 {
            let item = StoreFixture.patient("p\(writer)-\(number)", ["text": Self.text])
            try await store.transact([StoreFixture.put(item)])
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func fileSize(_ suffix: String) throws -> Int {
    let values = try FileManager.default.attributesOfItem(atPath: fixture.directory + "/store.sqlite" + suffix)
    return try #require(values[.size] as? Int)
  }

  @Test("the WAL of writers that never pause stays within eight times its pages, and the database gets everything")
  func bounded() async throws {
    let store = try await open()
    try await write(to: store)
    // And the group that went over, and what was written while the rest was copied.
    #expect(try fileSize("-wal") < 10 * Self.pages * 4096)
    #expect(try fileSize("") > 4_000_000)
    let report = try await store.verify()
    #expect(report.problems == [] && report.items == 100)
    try await store.close()
  }

  @Test("writers go on while a reader keeps an old snapshot, and the WAL is copied when it is gone")
  func oldSnapshot() async throws {
    let store = try await open()
    try await store.transact([StoreFixture.put(StoreFixture.patient("first"))])
    let reader = try SnapshotReader(fixture.directory + "/store.sqlite")
    #expect(try reader.count() == 1)
    try await write(to: store)
    #expect(try reader.count() == 1)
    #expect(try fileSize("-wal") > 4_000_000)
    try reader.close()
    try await write(to: store)
    #expect(try fileSize("") > 4_000_000)
    try await store.close()
    #expect(!FileManager.default.fileExists(atPath: fixture.directory + "/store.sqlite-wal"))
  }
}

/// Reads the store's database in one transaction that stays open.
private final class SnapshotReader {
  private let queue: DatabaseQueue

  init(_ path: String) throws {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.allowsUnsafeTransactions = true
    queue = try DatabaseQueue(path: path, configuration: configuration)
    try queue.unsafeRead { try $0.execute(sql: "BEGIN") }
  }

  func count() throws -> Int? {
    try queue.unsafeRead { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(StoreFixture.sqlTable)") }
  }

  func close() throws {
    try queue.unsafeRead { try $0.execute(sql: "COMMIT") }
    try queue.close()
  }
}
