internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Synchronization

/// Writes to an embedded store with many writers and prints each acknowledgement, until it kills itself with SIGKILL.
///
/// Usage: `store-crash-writer DIRECTORY WRITERS ACKNOWLEDGEMENTS MICROSECONDS [KEY-FILE]`. The kill comes so many
/// microseconds after so many acknowledgements; with 0 acknowledgements after the start, perhaps while the store is being
/// opened. With keys the store is encrypted, it is archived in `DIRECTORY-backups`, and a snapshot and a rekey run beside
/// the writers. Writer w's transaction n puts the item `item-w-n` and moves the item `counter-w` from n - 1 to n; once it is
/// acknowledged, the line `w n` appears on standard output.
@main
enum StoreCrashWriter {
  static let table = TableSchema(
    name: "crash", indexes: [IndexSchema(name: "writer-index", partitionKey: "writer", sortKey: "place")])

  static func main() async throws {
    let arguments = CommandLine.arguments
    guard (5...6).contains(arguments.count), let writers = Int(arguments[2]), let acknowledgements = Int(arguments[3]),
      let delay = UInt32(arguments[4])
    else {
      let usage = "usage: store-crash-writer DIRECTORY WRITERS ACKNOWLEDGEMENTS MICROSECONDS [KEY-FILE]\n"
      FileHandle.standardError.write(Data(usage.utf8))
      exit(2)
    }
    killSelf(after: acknowledgements, delay: delay)
    var configuration = EmbeddedStore.Configuration(directory: arguments[1], environment: "test", tables: [table])
    if arguments.count == 6 { configuration.keyRing = try KeySource.file(arguments[5]).load() }
    let isEncrypted = configuration.keyRing != nil
    let store = try await EmbeddedStore.open(configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await workBeside(store, isEncrypted: isEncrypted) }
      for writer in 0..<writers { group.addTask { try await write(to: store, as: writer) } }
      try await group.waitForAll()
    }
  }

  /// Acknowledgements that are still to come before the kill.
  private static let outstanding = Atomic(0)
  private static let isDue = DispatchSemaphore(value: 0)

  /// On a thread of its own, so that the moment is not one at which the writers' threads have nothing to do.
  private static func killSelf(after acknowledgements: Int, delay: UInt32) {
    outstanding.store(acknowledgements, ordering: .relaxed)
    Thread.detachNewThread {
      if acknowledgements > 0 { isDue.wait() }
      // Nothing waits for this moment: it is to be any.
      usleep(delay)
      kill(getpid(), SIGKILL)
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
      if outstanding.subtract(1, ordering: .relaxed).newValue == 0 { isDue.signal() }
    }
  }
}
