internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Synchronization
internal import Testing

@testable internal import EmbeddedEngine

/// A store, its backup directory and its keys, removed with the test that uses them.
final class ArchiveFixture: Sendable {
  let root = FileManager.default.temporaryDirectory.path + "/archive-\(UUID().uuidString)"
  let keyRing: KeyRing
  private let told = Mutex<[StoreArchive.Event]>([])

  var directory: String { root + "/store" }
  var backups: BackupDirectory { BackupDirectory(root + "/backups") }
  var events: [StoreArchive.Event] { told.withLock { $0 } }

  static let table = TableSchema(
    name: "notes", indexes: [IndexSchema(name: "owner-index", partitionKey: "owner", sortKey: "place")])

  static func ring(_ ids: Int...) throws -> KeyRing {
    var text = Array(ids.map { "\($0):" + String(repeating: "a\($0)", count: 32) }.joined(separator: "\n").utf8)
    return try KeyRing(parsing: &text)
  }

  init(keyRing: KeyRing? = nil) throws {
    self.keyRing = try keyRing ?? Self.ring(1)
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
  }

  /// The files of `other` as they are now, as a crash would leave them.
  convenience init(copying other: ArchiveFixture) throws {
    try self.init(keyRing: other.keyRing)
    for path in try FileManager.default.contentsOfDirectory(atPath: other.root) {
      try FileManager.default.copyItem(atPath: other.root + "/" + path, toPath: root + "/" + path)
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func configuration(_ directory: String? = nil, tables: [TableSchema] = [table]) -> EmbeddedStore.Configuration {
    var configuration = EmbeddedStore.Configuration(
      directory: directory ?? self.directory, environment: "test", tables: tables)
    configuration.keyRing = keyRing
    configuration.backups = backups
    return configuration
  }

  func archiveConfiguration(retention: Duration = .seconds(3600), interval: Duration = .seconds(86_400))
    -> StoreArchive.Configuration
  {
    StoreArchive.Configuration(
      backups: backups, retention: retention, snapshotInterval: interval,
      onEvent: { [self] event in told.withLock { $0.append(event) } })
  }

  /// Opens the store and its archive, runs `body` while the archive runs, ends both in order.
  @discardableResult
  func withArchive<Value: Sendable>(
    _ directory: String? = nil, tables: [TableSchema] = [table],
    _ body: @escaping @Sendable (EmbeddedStore, StoreArchive) async throws -> Value
  ) async throws -> Value {
    let store = try await EmbeddedStore.open(configuration(directory, tables: tables))
    do {
      let archive = try await store.archive(archiveConfiguration())
      let running = Task { await archive.run() }
      let result: Result<Value, any Error>
      do { result = .success(try await body(store, archive)) } catch { result = .failure(error) }
      running.cancel()
      await running.value
      try await archive.close()
      try await store.close()
      return try result.get()
    } catch {
      try? await store.close()
      throw error
    }
  }

  @discardableResult
  func restore(
    to instant: Int64, into name: String = "restored-\(UUID().uuidString.prefix(8))", history: String? = nil,
    keyRing: KeyRing? = nil
  ) throws -> (directory: String, result: StoreRestore.Result) {
    let directory = root + "/" + name
    let result = try StoreRestore(
      backups: backups, history: history, instant: instant, destination: directory, environment: "test",
      tables: [Self.table], keyRing: keyRing ?? self.keyRing
    ).run(nil) { _ in true }
    return (directory, result)
  }

  /// All items of the table, by key, read through the index of their owners.
  func items(in directory: String, owners: [String], keyRing: KeyRing? = nil) async throws -> [ItemKey: Item] {
    var configuration = configuration(directory)
    configuration.keyRing = keyRing ?? self.keyRing
    let store = try await EmbeddedStore.open(configuration)
    var items: [ItemKey: Item] = [:]
    for owner in owners {
      var query = Query(Self.table, index: "owner-index", partition: owner, limit: 1000)
      repeat {
        let page = try await store.query(query)
        for item in page.items { items[try #require(Self.table.key(of: item))] = item }
        query.exclusiveStart = page.next
      } while query.exclusiveStart != nil
    }
    try await store.close()
    return items
  }

  static func note(_ id: String, owner: String = "o", _ text: String = "") -> Item {
    ["id": .string(id), "userId": "u", "owner": .string(owner), "place": .string(id), "text": .string(text)]
  }

  func put(_ ids: String..., in store: EmbeddedStore, text: String = "") async throws {
    for id in ids { try await store.transact([.put(Self.note(id, text), in: Self.table)]) }
  }

  /// The machine's time, after which the next commit is later.
  static func instant() -> Int64 {
    let now = systemStoreClock()
    while systemStoreClock() <= now {}
    return now
  }
}
