import CivilTime
import Logging
import MemoryEngine
import ServiceLifecycle
import ServiceTestSupport
import Storage
import Synchronization
import Testing

@testable import Lifecycle

@Suite("Sweeper and journal pruning (DESIGN 6)", .timeLimit(.minutes(5)))
struct StoreUpkeepTests {
  private static let table = TableSchema(name: "patients", timeToLiveAttribute: "expiresAt")
  private let clock = ManualClock("2026-03-14T12:00:00Z")
  private let sleep = ManualSleep()
  private let log = LogCapture()

  private func upkeep(_ store: any StoreUpkeep.Store, archivedUntil: Int64 = .max) -> StoreUpkeep {
    let sleep = sleep
    return StoreUpkeep(
      store: store, clock: clock.wall, interval: .seconds(300), retention: .seconds(35 * 86_400), logger: log.logger,
      archivedUntil: { archivedUntil }, sleep: { try await sleep.sleep($0) })
  }

  private func store() -> MemoryStore {
    let clock = clock
    return MemoryStore(tables: [Self.table], now: { clock.wall.now().microseconds })
  }

  private static func item(_ id: String, expiresAt second: Int64? = nil) -> Item {
    var item: Item = ["id": .string(id), "userId": "-"]
    item["expiresAt"] = second.map { .number($0) }
    return item
  }

  @Test("a round deletes all that has expired, in steps, and leaves the rest")
  func sweep() async throws {
    let store = store()
    let second = clock.wall.now().seconds
    for batch in 0..<6 {
      try await store.transact(
        (0..<100).map { .put(Self.item("i#\(batch)-\($0)", expiresAt: second + 10), in: Self.table) })
    }
    try await store.transact([
      .put(Self.item("kept"), in: Self.table), .put(Self.item("later", expiresAt: second + 11), in: Self.table),
    ])
    clock.advance(seconds: 10)
    try await upkeep(store).round()
    #expect(log.lines == [])
    clock.advance(seconds: 1)
    try await upkeep(store).round()
    #expect(log.lines == ["info deleted expired items items=600"])
    // 7 transactions of ours, and 256 + 256 + 88 deletions in 3.
    #expect(store.commits.end.sequence == 10)
    #expect(try await store.sweepExpired(limit: 10) == 0)
    #expect(try await store.batchGet([ItemKey("kept", "-"), ItemKey("later", "-")], from: Self.table).count == 2)
  }

  @Test("a round forgets what is older than the retention, to the microsecond, and never the newest")
  func prune() async throws {
    let store = store()
    for number in 0..<600 { try await store.transact([.put(Self.item("a\(number)"), in: Self.table)]) }
    clock.advance(seconds: 1)
    try await store.transact([.put(Self.item("b"), in: Self.table)])
    clock.advance(seconds: 35 * 86_400 - 1)
    try await upkeep(store).round()
    #expect(try await store.journalBounds() == 1...601)
    clock.advance(seconds: 1)
    try await upkeep(store).round()
    #expect(try await store.journalBounds() == 601...601)
    #expect(log.lines == ["info forgot old transactions of the journal oldest kept=601 transactions=600"])
    clock.advance(seconds: 86_400)
    try await upkeep(store).round()
    #expect(try await store.journalBounds() == 601...601)
  }

  @Test("nothing is forgotten that the archive lacks, however old it is")
  func pruneBehindArchive() async throws {
    let store = store()
    try await store.transact([.put(Self.item("a"), in: Self.table)])
    clock.advance(seconds: 1)
    let archived = clock.wall.now().microseconds
    for id in ["b", "c"] { try await store.transact([.put(Self.item(id), in: Self.table)]) }
    clock.advance(seconds: 36 * 86_400)
    try await upkeep(store, archivedUntil: archived).round()
    #expect(try await store.journalBounds() == 2...3)
  }

  @Test("it goes on round after round, and ends when it is cancelled")
  func rounds() async throws {
    let store = store()
    let upkeep = upkeep(store)
    let running = Task { try await upkeep.run() }
    await sleep.sleeping { $0 == .seconds(300) }
    try await store.transact([.put(Self.item("x", expiresAt: clock.wall.now().seconds), in: Self.table)])
    clock.advance(seconds: 1)
    await sleep.wake { $0 == .seconds(300) }
    await sleep.sleeping { $0 == .seconds(300) }
    #expect(try await store.sweepExpired(limit: 10) == 0)
    #expect(log.lines == ["info deleted expired items items=1"])
    running.cancel()
    try await running.value
  }

  @Test("a fault is logged and tried again after a pause that doubles, up to five minutes")
  func faults() async throws {
    let upkeep = upkeep(BrokenStore(faults: 3))
    let running = Task { try await upkeep.run() }
    for seconds in [1, 2, 4] { await sleep.wake { $0 == .seconds(seconds) } }
    await sleep.sleeping { $0 == .seconds(300) }
    running.cancel()
    try await running.value
    #expect(
      log.lines
        == (1...3).map {
          "error the store could not be swept; it is tried again attempt=\($0) reason=unavailable: the disk is full"
        })
    #expect((1...12).map { StoreUpkeep.pause(after: $0) }.suffix(3) == [.seconds(300), .seconds(300), .seconds(300)])
    #expect(StoreUpkeep.pause(after: .max) == .seconds(300))
  }
}

/// A store that cannot be swept for some time.
private final class BrokenStore: StoreUpkeep.Store {
  private let faults: Mutex<Int>
  let commits = CommitSignal()

  init(faults: Int) { self.faults = Mutex(faults) }

  func sweepExpired(limit: Int) async throws(StoreError) -> Int {
    let isBroken = faults.withLock { faults in
      faults -= 1
      return faults >= 0
    }
    if isBroken { throw .unavailable("the disk is full") }
    return 0
  }

  func pruneJournal(before time: Int64, limit: Int) async throws(StoreError) -> Int { 0 }
  func journalBounds() async throws(StoreError) -> ClosedRange<Int64>? { nil }
  func changes(after sequence: Int64, limit: Int) async throws(StoreError) -> [CommittedTransaction] { [] }
  func changes(
    after position: JournalPosition, matching filter: ChangeFilter, limit: Int
  ) async throws(StoreError) -> JournalPage? { nil }
}

/// What was logged: level, message, and metadata by name.
private final class LogCapture: Sendable {
  private let kept = Mutex<[String]>([])

  var lines: [String] { kept.withLock { $0 } }
  var logger: Logger { Logger(label: "test") { _ in Handler(capture: self) } }

  private struct Handler: LogHandler {
    let capture: LogCapture
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      let line = (["\(event.level) \(event.message)"] + fields).joined(separator: " ")
      capture.kept.withLock { $0.append(line) }
    }
  }
}
