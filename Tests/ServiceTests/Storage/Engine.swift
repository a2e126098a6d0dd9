internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import MemoryEngine
internal import Storage
internal import Synchronization
internal import Testing

/// The engines that keep the contract.
enum Engine: String, CaseIterable, CustomTestStringConvertible {
  case memory, embedded, encrypted

  var testDescription: String { rawValue }

  typealias Store = TableStore & ChangeJournal & ExpirySweeping

  /// Runs `body` on a new, empty store with the tables of ``Sample``.
  func withStore<Value>(
    clock: TestClock = TestClock(), _ body: (any Store) async throws -> Value
  ) async throws -> Value {
    switch self {
    case .memory:
      return try await body(MemoryStore(tables: Sample.tables, now: { clock.now }))
    case .embedded, .encrypted:
      let directory = FileManager.default.temporaryDirectory.path + "/store-\(UUID().uuidString)"
      defer { try? FileManager.default.removeItem(atPath: directory) }
      var configuration = EmbeddedStore.Configuration(
        directory: directory, environment: "test", tables: Sample.tables)
      configuration.clock = { clock.now }
      if self == .encrypted {
        var key = Array("1:\(String(repeating: "5c", count: 32))".utf8)
        configuration.keyRing = try KeyRing(parsing: &key)
      }
      let store = try await EmbeddedStore.open(configuration)
      let value: Value
      do { value = try await body(store) } catch {
        try? await store.close()
        throw error
      }
      // Whatever a test did, the files agree with themselves.
      #expect(try await store.verify().problems == [])
      try await store.close()
      return value
    }
  }
}

/// A clock that stands until it is moved; microseconds since 1970.
final class TestClock: Sendable {
  private let time: Mutex<Int64>

  init(seconds: Int64 = 1_800_000_000) { time = Mutex(seconds * 1_000_000) }

  var now: Int64 { time.withLock { $0 } }
  func set(microseconds: Int64) { time.withLock { $0 = microseconds } }
}

/// Two tables like those of the services, and items for them.
enum Sample {
  static let patients = TableSchema(
    name: "patients",
    indexes: [
      IndexSchema(name: "mrn-index", partitionKey: "mrn", sortKey: "userId"),
      IndexSchema(name: "lastName-index", partitionKey: "userId", sortKey: "lastName"),
      IndexSchema(name: "clinic-index", partitionKey: "clinic", sortKey: "lastName"),
    ], timeToLiveAttribute: "expiresAt")
  static let blocks = TableSchema(
    name: "timeblocks", indexes: [IndexSchema(name: "date-index", partitionKey: "userId", sortKey: "date")])
  static let tables = [patients, blocks]

  static func key(_ id: String, _ user: String = "u1") -> ItemKey { ItemKey(id, user) }

  static func patient(_ id: String, user: String = "u1", _ more: Item = [:]) -> Item {
    ["id": .string(id), "userId": .string(user)].merging(more) { $1 }
  }
}

extension TableStore {
  /// All items of a query, page by page, as their ids.
  func ids(_ query: Query) async throws -> [String] {
    var query = query
    var ids: [String] = []
    repeat {
      let page = try await self.query(query)
      ids += page.items.compactMap { $0["id"]?.stringValue }
      query.exclusiveStart = page.next
    } while query.exclusiveStart != nil
    return ids
  }

  func put(_ items: Item...) async throws {
    try await transact(items.map { .put($0, in: Sample.patients) })
  }
}
