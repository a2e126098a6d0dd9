internal import Dispatch
internal import GRDBSQLite
internal import Storage
internal import Synchronization
internal import Testing

@testable internal import EmbeddedEngine

@Suite("Faults") struct FaultTests {
  private let fixture = StoreFixture()

  @Test("a full disk refuses writes, loses nothing, is told, and passes by itself")
  func full() async throws {
    let told = Mutex<[EmbeddedStore.Status]>([])
    var configuration = fixture.configuration()
    configuration.maximumBytes = 1 << 20
    configuration.onStatusChange = { status in told.withLock { $0.append(status) } }
    let store = try await EmbeddedStore.open(configuration)
    let large = AttributeValue.string(String(repeating: "x", count: 300_000))
    var kept: [String] = []
    var refusal: StoreError?
    while refusal == nil {
      let id = "p\(kept.count)"
      do throws(StoreError) {
        try await store.transact([StoreFixture.put(StoreFixture.patient(id, ["text": large]))])
        kept.append(id)
      } catch { refusal = error }
    }
    #expect(refusal == .unavailable("the disk is full"))
    // The store probes the disk by itself, so it may be serving again by now.
    #expect(told.withLock { $0.first } == .suspended("the disk is full"))
    for id in kept { #expect(try await store.get(StoreFixture.key(id), from: StoreFixture.table)?["text"] == large) }
    #expect(try await store.get(StoreFixture.key("p\(kept.count)"), from: StoreFixture.table) == nil)

    try await store.transact([StoreFixture.put(StoreFixture.patient("small"))])
    #expect(store.status == .serving)
    #expect(try await store.verify().problems == [])
    #expect(try await store.journalBounds() == 1...Int64(kept.count + 1))
    try await store.close()
    #expect(told.withLock { $0 } == [.suspended("the disk is full"), .serving, .closed])
  }

  @Test("more transactions than may wait are refused, those that wait are done")
  func overload() async throws {
    // The writer asks the clock for each transaction, so a clock that waits holds it.
    let (entered, go) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    var configuration = fixture.configuration()
    configuration.queuedTransactions = 2
    configuration.groupSize = 1
    configuration.clock = {
      entered.signal()
      go.wait()
      return 0
    }
    let table = TableSchema(name: "patients")
    configuration.tables = [table]
    let store = try await EmbeddedStore.open(configuration)
    func put(_ id: String) async -> StoreError? {
      do throws(StoreError) { try await store.transact([.put(StoreFixture.patient(id), in: table)]) } catch {
        return error
      }
      return nil
    }
    async let first = put("held")
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        entered.wait()
        continuation.resume()
      }
    }
    // With the writer held, exactly two of these find room.
    let others = await withTaskGroup(of: StoreError?.self) { group in
      for id in 0..<5 { group.addTask { await put("p\(id)") } }
      var answers: [StoreError?] = []
      for await answer in group {
        answers.append(answer)
        if answers.count == 3 { for _ in 0..<3 { go.signal() } }
      }
      return answers
    }
    #expect(others.prefix(3) == [.overloaded, .overloaded, .overloaded])
    #expect(others.suffix(2) == [nil, nil])
    #expect(await first == nil)
    try await store.close()
  }

  @Test(
    "what follows from each of SQLite's failures",
    arguments: [
      (SQLITE_FULL, "suspend"), (SQLITE_NOMEM, "suspend"), (SQLITE_BUSY, "suspend"), (SQLITE_READONLY, "suspend"),
      // https://www.sqlite.org/rescode.html: IOERR_WRITE 778, FSYNC 1034, DIR_FSYNC 1290, TRUNCATE 1546, READ 266.
      (778, "stop"), (1034, "stop"), (1290, "stop"), (1546, "stop"), (266, "refuse"), (SQLITE_CORRUPT, "refuse"),
      (SQLITE_CONSTRAINT, "refuse"),
    ])
  func consequences(code: Int32, expected: String) {
    let consequence = SQLiteFailure(code: code, message: "").consequence
    let kind =
      switch consequence {
      case .refuse: "refuse"
      case .suspend: "suspend"
      case .stop: "stop"
      }
    #expect(kind == expected)
  }

  @Test("a failed store does not come back, except by being closed")
  func failedIsFinal() {
    let health = StoreHealth { _ in }
    health.move(to: .suspended("full"))
    health.move(to: .failed("fsync"))
    health.move(to: .serving)
    #expect(health.status == .failed("fsync"))
    health.move(to: .closed)
    #expect(health.status == .closed)
  }
}
