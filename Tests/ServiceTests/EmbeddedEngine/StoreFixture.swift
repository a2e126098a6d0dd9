internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Storage

/// A directory for one test's store, removed with it.
final class StoreFixture: Sendable {
  static let table = TableSchema(
    name: "patients",
    indexes: [
      IndexSchema(name: "mrn-index", partitionKey: "mrn", sortKey: "userId"),
      IndexSchema(name: "name-index", partitionKey: "userId", sortKey: "name"),
    ], timeToLiveAttribute: "expiresAt")
  static let sqlTable = "\"clinicavoice-patients-test\""

  let directory = FileManager.default.temporaryDirectory.path + "/embedded-\(UUID().uuidString)"

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  /// For tests that put files there before a store is opened.
  func makeDirectory() throws {
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
  }

  func configuration(_ tables: [TableSchema] = [table]) -> EmbeddedStore.Configuration {
    EmbeddedStore.Configuration(directory: directory, environment: "test", tables: tables)
  }

  func open() async throws -> EmbeddedStore { try await .open(configuration()) }

  /// Opens the store, runs `body`, closes it.
  func withStore<Value>(
    _ tables: [TableSchema] = [table], keyRing: KeyRing? = nil, _ body: (EmbeddedStore) async throws -> Value
  ) async throws -> Value {
    var configuration = configuration(tables)
    configuration.keyRing = keyRing
    let store = try await EmbeddedStore.open(configuration)
    let value: Value
    do { value = try await body(store) } catch {
      try? await store.close()
      throw error
    }
    try await store.close()
    return value
  }

  /// Changes the files behind the closed store's back.
  func tamper(_ sql: String...) throws {
    for sql in sql {
      let queue = try DatabaseQueue(path: directory + "/store.sqlite")
      try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
      try queue.close()
    }
  }

  static func key(_ id: String) -> ItemKey { ItemKey(id, "u1") }

  static func patient(_ id: String, _ more: Item = [:]) -> Item {
    ["id": .string(id), "userId": "u1", "mrn": .string("M-" + id), "name": .string("N-" + id)].merging(more) { $1 }
  }

  static func put(_ item: Item, if condition: Condition? = nil) -> Write { .put(item, in: table, if: condition) }
}
