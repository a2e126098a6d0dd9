import CivilTime
import Identity
import MemoryEngine
import RPC
import ServiceTestSupport
import Storage
import Testing

@testable import ServiceCore

/// A feed over two tables in memory, whose pauses the test ends.
struct ChangeFeedFixture: Sendable {
  enum Kind: Int, Hashable, Sendable { case thing, other }
  typealias Response = FeedResponse<Kind>

  static let things = TableSchema(name: "things", timeToLiveAttribute: "expiresAt")
  static let others = TableSchema(name: "others")
  static let stallLimit = Duration.seconds(7777)
  static let clinician = Principal(id: "c1", role: .clinician)

  let clock = ManualClock("2026-03-14T12:00:00Z")
  let store: MemoryStore
  let sleep = ManualSleep()
  let drain = DrainSignal()
  let feed: ChangeFeed<Kind>

  init(limits: WatchLimits = WatchLimits()) {
    let (clock, sleep) = (clock, sleep)
    store = MemoryStore(tables: [Self.things, Self.others], now: { clock.wall.now().microseconds })
    var pacing = ChangeFeed<Kind>.Pacing()
    pacing.stallLimit = Self.stallLimit
    pacing.sleep = { try await sleep.sleep($0) }
    feed = ChangeFeed(
      journal: store,
      resources: [
        FedResource(.thing, table: Self.things, fields: ["id", "version", "first_name", "phone", "updated_at"]),
        FedResource(.other, table: Self.others, fields: ["name"]),
      ],
      tokens: PageTokens(key: .init(repeating: 3, count: 32)), clock: clock.wall, errors: .init(domain: .patient),
      drain: drain, limits: limits, pacing: pacing)
  }

  /// The n-th resource's id.
  static func id(_ number: Int) -> String {
    "550e8400-e29b-41d4-a716-" + String(repeating: "0", count: 12 - String(number).count) + String(number)
  }

  static func item(_ number: Int, version: Int64 = 1, user: String = "c1", _ more: Item = [:]) -> Item {
    ["id": .string(id(number)), "userId": .string(user), "version": .number(version)].merging(more) { $1 }
  }

  func put(_ items: Item..., in table: TableSchema = things) async throws {
    try await store.transact(items.map { .put($0, in: table) })
  }

  func watch(
    _ token: String = "", by principal: Principal = clinician, user: String = "c1", kinds: Set<Kind>? = nil,
    heartbeat: Duration = .seconds(30), filters: String = "f", path: String = "/s/Watch"
  ) throws -> Watch<Kind> {
    var violations = FieldViolations()
    let scope = try ClinicianScope(
      requested: user, principal: principal, roles: [.clinician, .delegate, .service],
      errors: .init(domain: .patient), violations: &violations)
    return try Watch(
      scope: scope, kinds: kinds, heartbeat: heartbeat, resumeToken: token, filters: TextMessage(filters + user),
      context: .forTest(by: principal, path: path))
  }

  func consume(_ watch: Watch<Kind>) -> Consumer { Consumer(feed, watch) }

  /// A watch from now on that has begun, its first response read.
  func begin(_ watch: Watch<Kind>) async throws -> Consumer {
    let consumer = Consumer(feed, watch)
    _ = try await consumer.next()
    return consumer
  }

  /// Why a watch is refused before its first response.
  func refusal(_ watch: Watch<Kind>) async -> String? {
    struct Accepted: Error {}
    do {
      try await feed.serve(watch) { _ in throw Accepted() }
      return nil
    } catch is Accepted { return nil } catch { return RPCError(wrapping: error).summary }
  }
}

/// A watch under way, read by one test.
final class Consumer: Sendable {
  typealias Kind = ChangeFeedFixture.Kind
  private let task: Task<Void, any Error>
  private let responses: AsyncStream<ChangeFeedFixture.Response>
  private let gate = ManualSleep()

  /// - Parameter isOpen: whether responses are taken at once; otherwise each waits for ``take()``.
  init(_ feed: ChangeFeed<Kind>, _ watch: Watch<Kind>, isOpen: Bool = true) {
    let (responses, continuation) = AsyncStream.makeStream(of: ChangeFeedFixture.Response.self)
    let gate = gate
    self.responses = responses
    task = Task {
      defer { continuation.finish() }
      try await feed.serve(watch) { response in
        if !isOpen { try await gate.sleep(.zero) }
        continuation.yield(response)
      }
    }
  }

  /// Lets one response through, where they wait.
  func take() async { await gate.wake() }

  /// Waits until a response is offered, where they wait.
  func stuck() async { await gate.sleeping() }

  /// How many responses were ever offered, where they wait.
  var offered: Int { gate.slept.count }

  func next() async throws -> ChangeFeedFixture.Response {
    var iterator = responses.makeAsyncIterator()
    return try #require(await iterator.next())
  }

  /// The next `count` changes, and the token after them.
  func changes(_ count: Int) async throws -> (changes: [FeedChange<Kind>], token: String) {
    var changes: [FeedChange<Kind>] = []
    var token = ""
    while changes.count < count {
      let response = try await next()
      changes += response.changes
      token = response.resumeToken
    }
    return (changes, token)
  }

  /// Ends it as a caller does.
  func cancel() async {
    task.cancel()
    _ = await task.result
  }

  /// The status with which it ended by itself.
  func end() async -> String? {
    do {
      try await task.value
      return nil
    } catch { return RPCError(wrapping: error).summary }
  }
}
