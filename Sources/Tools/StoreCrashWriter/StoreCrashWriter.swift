internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage

/// Writes to an embedded store with many writers and prints each acknowledgement, until it is killed.
///
/// Usage: `store-crash-writer DIRECTORY WRITERS [KEY-FILE]`. With keys the store is encrypted, it is archived in
/// `DIRECTORY-backups`, and a snapshot and a rekey run beside the writers. Writer w's transaction n puts the item `item-w-n` and moves the item
/// `counter-w` from n - 1 to n; once it is acknowledged, the line `w n` appears on standard output.
@main
enum StoreCrashWriter {
  static let table = TableSchema(
    name: "crash", indexes: [IndexSchema(name: "writer-index", partitionKey: "writer", sortKey: "place")])

  static func main() async throws {
    let arguments = CommandLine.arguments
    guard (3...4).contains(arguments.count), let writers = Int(arguments[2]) else {
      FileHandle.standardError.write(Data("usage: store-crash-writer DIRECTORY WRITERS [KEY-FILE]\n".utf8))
      exit(2)
    }
    var configuration = EmbeddedStore.Configuration(directory: arguments[1], environment: "test", tables: [table])
    if arguments.count == 4 { configuration.keyRing = try KeySource.file(arguments[3]).load() }
    let isEncrypted = configuration.keyRing != nil
    let store = try await EmbeddedStore.open(configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await workBeside(store, isEncrypted: isEncrypted) }
      for writer in 0..<writers { group.addTask { try await write(to: store, as: writer) } }
      try await group.waitForAll()
    }
  }

  /// What else goes on in a store in use: it is archived, and encrypted anew.
  private static func workBeside(_ store: EmbeddedStore, isEncrypted: Bool) async throws {
    guard isEncrypted else { return }
    let backups = BackupDirectory(CommandLine.arguments[1] + "-backups")
    let archive = try await store.archive(
      .init(backups: backups, retention: .seconds(86_400), snapshotInterval: .seconds(86_400)))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await archive.run() }
      group.addTask { _ = try await archive.snapshot(.scheduled) }
      group.addTask { try await store.rekey() }
      try await group.waitForAll()
    }
  }

  private static func write(to store: EmbeddedStore, as writer: Int) async throws {
    var number = try await store.get(ItemKey("counter-\(writer)", "c"), from: table)?["number"]?.numberValue ?? 0
    while true {
      let before = number
      number += 1
      let item: Item = [
        "id": .string("item-\(writer)-\(number)"), "userId": "c", "writer": .string("writer-\(writer)"),
        "place": .string(String(number)), "padding": .string(String(repeating: "x", count: 300)),
      ]
      let counter: Item = ["id": .string("counter-\(writer)"), "userId": "c", "number": .number(number)]
      try await store.transact([
        .put(item, in: table, if: .notExists("id")),
        .put(counter, in: table, if: before == 0 ? .notExists("id") : .equals("number", .number(before))),
      ])
      // One write call a line, so that a line is whole or absent.
      FileHandle.standardOutput.write(Data("\(writer) \(number)\n".utf8))
    }
  }
}
