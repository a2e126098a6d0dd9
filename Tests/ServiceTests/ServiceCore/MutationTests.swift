import CivilTime
import Identity
import MemoryEngine
import RPC
import ServiceTestSupport
import Storage
import Synchronization
import Testing

@testable import ServiceCore

@Suite("Idempotency and the order of checks (DOMAIN 8)")
struct MutationTests {
  private static let table = TableSchema(name: "things", timeToLiveAttribute: ExpiringItem.attribute)
  private let errors = ServiceErrors(domain: .patient)
  private let clock = ManualClock("2025-12-01T10:00:00Z")
  private let store: MemoryStore
  private let mutations: Mutations

  init() {
    let clock = clock
    store = MemoryStore(tables: [Self.table], now: { clock.wall.now().seconds })
    mutations = Mutations(
      idempotency: IdempotencyRecords(store: store, table: Self.table, errors: errors),
      transactions: RetryingTransaction(store: store, errors: errors, policy: .immediate()), clock: clock.wall)
  }

  private func key(
    _ id: String = "550e8400-e29b-41d4-a716-446655440000", by principal: Principal = .init(id: "c1", role: .clinician),
    method: String = "/s/Create", request: String = "payload"
  ) throws -> IdempotencyKey {
    try IdempotencyKey(
      requestId: #require(ResourceID(id)), principal: principal, method: method,
      canonicalRequest: TextMessage(request))
  }

  /// Creates an item named like the number of items made so far; a replay answers its name with a mark.
  private func create(_ key: IdempotencyKey?, context: ServerContext = .forTest()) async throws -> String {
    try await mutations.run(
      key, field: "thing", context: context,
      replay: { "again \($0.resources.joined())" },
      decide: { _, _ in
        let name = try await "thing\(count())"
        let writes = [
          Write.put(["id": "all", "userId": .string(name)], in: Self.table, if: .notExists("id"))
        ]
        return .init(writes: writes, resources: [name], output: name)
      })
  }

  private func count() async throws -> Int {
    try await store.query(Query(Self.table, partition: "all", limit: 1000)).items.count
  }

  @Test("a repeated request has no second effect and says so in its metadata")
  func replay() async throws {
    let context = ServerContext.forTest()
    #expect(try await create(key(), context: context) == "thing0")
    #expect(context.trailingMetadata["idempotent-replayed"] == nil)
    #expect(try await create(key(), context: context) == "again thing0")
    #expect(context.trailingMetadata["idempotent-replayed"] == "true")
    #expect(context.initialMetadata["idempotent-replayed"] == "true")
    #expect(try await count() == 1)
  }

  @Test("without a request id every call is one of its own")
  func noRequestId() async throws {
    #expect(try await create(nil) == "thing0")
    #expect(try await create(nil) == "thing1")
  }

  @Test("the id may be written in any letter case")
  func letterCase() async throws {
    _ = try await create(key("550e8400-e29b-41d4-a716-446655440abc"))
    #expect(try await create(key("550E8400-E29B-41D4-A716-446655440ABC")) == "again thing0")
  }

  @Test("the scope is principal, method and request id")
  func scope() async throws {
    let other = Principal(id: "c2", role: .clinician)
    let sameNameOtherRole = Principal(id: "c1", role: .delegate, actsFor: ["c1"])
    let service = Principal(id: "c1", role: .service, onBehalfOf: .init(id: "c1", role: .clinician))
    let keys = try [
      key(), key(by: other), key(by: sameNameOtherRole), key(by: service), key(method: "/s/Update"),
      key("550e8400-e29b-41d4-a716-446655440001"),
    ]
    for (index, key) in keys.enumerated() { #expect(try await create(key) == "thing\(index)") }
  }

  @Test("the same id with another payload is refused")
  func reused() async throws {
    _ = try await create(key())
    let error = await #expect(throws: RPCError.self) { try await create(key(request: "other")) }
    #expect(error?.summary == "INVALID_ARGUMENT REQUEST_ID_REUSED")
    #expect(try await count() == 1)
  }

  @Test("a record is kept for 24 hours at least and not for ever")
  func lifetime() async throws {
    _ = try await create(key())
    clock.advance(seconds: 24 * 3600)
    #expect(try await create(key()) == "again thing0")
    clock.advance(seconds: 3601)
    #expect(try await create(key()) == "thing1")
    #expect(try await create(key()) == "again thing1")
  }

  @Test("failures are not stored")
  func failures() async throws {
    struct Refused: Error {}
    await #expect(throws: Refused.self) {
      try await mutations.run(
        key(), field: "thing", context: .forTest(), replay: { _ in "again" }, decide: { _, _ in throw Refused() })
    }
    #expect(try await create(key()) == "thing0")
  }

  @Test("a mutation that changes nothing is remembered as well")
  func unchanged() async throws {
    for expected in ["same", "again a"] {
      let output = try await mutations.run(
        key(), field: "thing", context: .forTest(), replay: { "again \($0.resources.joined())" },
        decide: { _, _ in .init(resources: ["a"], output: "same") })
      #expect(output == expected)
    }
  }

  @Test("of concurrent duplicates one executes, and all get its answer", arguments: [2, 8, 32])
  func concurrentDuplicates(callers: Int) async throws {
    let key = try key()
    let answers = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<callers { group.addTask { try await create(key) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.filter { $0 == "thing0" }.count == 1)
    #expect(answers.filter { $0 == "again thing0" }.count == callers - 1)
    #expect(try await count() == 1)
  }

  @Test("a duplicate that finds the state already changed is a replay, not a failure")
  func changedMeanwhile() async throws {
    struct AlreadyDone: Error {}
    let key = try key()
    let output = try await mutations.run(
      key, field: "thing", context: .forTest(), replay: { "again \($0.resources.joined())" },
      decide: { _, _ in
        // The other one commits between our look at the records and our look at the state.
        _ = try await create(key)
        throw AlreadyDone()
      })
    #expect(output == "again thing0")
  }

  @Test("writers of one item all succeed in the end, each on what it read")
  func counter() async throws {
    let counter = ItemKey("counter", "-")
    let transactions = RetryingTransaction(store: store, errors: errors, policy: .immediate(attempts: 1000))
    let table = Self.table
    let store = store
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask {
          try await transactions.run(field: "thing") { _ in
            let old = try await store.get(counter, from: table)?["n"]?.numberValue
            let item: Item = ["id": "counter", "userId": "-", "n": .number((old ?? 0) + 1)]
            return .commit(
              [.put(item, in: table, if: old.map { .equals("n", .number($0)) } ?? .notExists("id"))], then: ())
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await store.get(counter, from: table)?["n"] == 20)
  }

  @Test("contention that outlasts the attempts is ABORTED; the refused places are told")
  func contention() async throws {
    let seen = Mutex<[RetryingTransaction.Attempt]>([])
    let transactions = RetryingTransaction(store: store, errors: errors, policy: .immediate(attempts: 3))
    let error = await #expect(throws: RPCError.self) {
      try await transactions.run(field: "thing") { attempt in
        seen.withLock { $0.append(attempt) }
        let never = Write.check(ItemKey("x", "-"), in: Self.table, if: .exists("id"))
        return .commit([.put(["id": "y", "userId": "-"], in: Self.table), never], then: ())
      }
    }
    #expect(error?.summary == "ABORTED CONTENTION")
    #expect(
      seen.withLock { $0 } == [
        .init(number: 1), .init(number: 2, refused: [1]), .init(number: 3, refused: [1]),
      ])
  }

  @Test("pauses are random, grow and are bounded")
  func delays() {
    let policy = RetryPolicy(baseDelay: .milliseconds(2), maxDelay: .milliseconds(100))
    for attempt in 1...70 {
      let bound = min(Duration.milliseconds(2) * (1 << min(attempt - 1, 10)), .milliseconds(100))
      let delays = (0..<50).map { policy.delay(after: attempt, random: .seeded(UInt64($0))) }
      #expect(delays.allSatisfy { $0 >= .zero && $0 < bound })
      #expect(Set(delays).count > 40)
    }
  }
}
