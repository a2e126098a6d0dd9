internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

@Suite("Crashes") struct CrashTests {
  private static let table = TableSchema(
    name: "crash", indexes: [IndexSchema(name: "writer-index", partitionKey: "writer", sortKey: "place")])
  private static let writers = 32

  /// kill -9 in the middle of 32 writers, five times on the same files, at another point each time.
  @Test("what was acknowledged before a kill -9 is there, and the store agrees with itself")
  func killed() async throws {
    let fixture = StoreFixture()
    var acknowledged = [Int](repeating: 0, count: Self.writers)
    for round in 1...5 {
      for (writer, number) in try await Self.run(fixture.directory, until: round * 97) {
        acknowledged[writer] = max(acknowledged[writer], number)
      }
      try await fixture.withStore([Self.table]) { store in
        let report = try await store.verify()
        #expect(report.problems == [])
        for (writer, number) in acknowledged.enumerated() {
          try await Self.check(store, writer, atLeast: number)
        }
      }
    }
    #expect(acknowledged.reduce(0, +) > 5 * 97)
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

  /// The same with an encrypted store that gets a new key before each round and is encrypted anew under it meanwhile.
  @Test("the same while the store is encrypted under another key")
  func killedDuringRekey() async throws {
    let fixture = StoreFixture()
    let keyFile = fixture.directory + "-keys"
    defer { try? FileManager.default.removeItem(atPath: keyFile) }
    var acknowledged = [Int](repeating: 0, count: Self.writers)
    for round in 1...4 {
      let keys = (1...round).map { "\($0):" + String(repeating: "4\($0)", count: 32) }.joined(separator: "\n")
      #expect(FileManager.default.createFile(atPath: keyFile, contents: nil, attributes: [.posixPermissions: 0o600]))
      try keys.write(toFile: keyFile, atomically: false, encoding: .utf8)
      for (writer, number) in try await Self.run(fixture.directory, until: 1500, keyFile: keyFile) {
        acknowledged[writer] = max(acknowledged[writer], number)
      }
      let keyRing = try KeySource.file(keyFile).load()
      try await fixture.withStore([Self.table], keyRing: keyRing) { store in
        let report = try await store.verify()
        #expect(report.problems == [])
        for (writer, number) in acknowledged.enumerated() {
          try await Self.check(store, writer, atLeast: number)
        }
        let keys = round == 4 ? try await store.rekey().map(\.id) : [4]
        #expect(keys == [4])
      }
    }
  }

  /// Runs the writer until it has acknowledged `count` transactions, kills it, and returns all it acknowledged.
  private static func run(
    _ directory: String, until count: Int, keyFile: String? = nil
  ) async throws -> [(writer: Int, number: Int)] {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("store-crash-writer")
    process.arguments = [directory, String(writers)] + (keyFile.map { [$0] } ?? [])
    process.standardOutput = output
    try process.run()
    // Reading blocks, so it has a thread of its own.
    let text: Data = await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var text = Data()
        var lines = 0
        var isKilled = false
        while true {
          let more = output.fileHandleForReading.availableData
          if more.isEmpty { break }
          text += more
          lines += more.count { $0 == UInt8(ascii: "\n") }
          if lines >= count, !isKilled {
            kill(process.processIdentifier, SIGKILL)
            isKilled = true
          }
        }
        process.waitUntilExit()
        continuation.resume(returning: text)
      }
    }
    #expect(process.terminationReason == .uncaughtSignal)
    return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ").compactMap { Int($0) }
      return parts.count == 2 ? (parts[0], parts[1]) : nil
    }
  }
}
