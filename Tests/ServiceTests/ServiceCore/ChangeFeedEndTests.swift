import Identity
import RPC
import ServiceTestSupport
import Storage
import Testing

@testable import ServiceCore

@Suite("How a watch ends, and who may not begin one (DOMAIN 11)", .timeLimit(.minutes(5)))
struct ChangeFeedEndTests {
  private typealias Fixture = ChangeFeedFixture
  private let fixture = ChangeFeedFixture()

  private func token(_ watch: Watch<Fixture.Kind>) async throws -> String {
    let consumer = fixture.consume(watch)
    let token = try await consumer.next().resumeToken
    await consumer.cancel()
    return token
  }

  @Test("a token is good for its caller, clinician, method and filters only")
  func bound() async throws {
    let desk = Principal(id: "desk", role: .delegate, actsFor: ["c1", "c2"])
    let token = try await token(try fixture.watch())
    let delegates = try await self.token(try fixture.watch(by: desk, user: "c1"))
    let foreign = try [
      fixture.watch(token, by: desk, user: "c1"), fixture.watch(delegates, by: desk, user: "c2"),
      fixture.watch(delegates), fixture.watch(token, filters: "g"), fixture.watch(token, path: "/s/List"),
      fixture.watch(token + "A"), fixture.watch(String(token.dropLast())), fixture.watch("x"),
    ]
    for watch in foreign { #expect(await fixture.refusal(watch) == "INVALID_ARGUMENT CHANGE_TOKEN_INVALID") }
  }

  @Test("a place in a list is no place in a feed")
  func otherPlaces() async throws {
    let watch = try fixture.watch()
    for place in [["a", "b"], ["1"], ["1", "2", "3"], []] {
      let token = try PageTokens(key: .init(repeating: 3, count: 32)).seal(place, binding: watch.binding)
      #expect(await fixture.refusal(try fixture.watch(token)) == "INVALID_ARGUMENT CHANGE_TOKEN_INVALID")
    }
  }

  @Test("a token of what is no longer kept, or of a history that a restore took back, is expired")
  func expired() async throws {
    let first = try await token(try fixture.watch())
    for number in 1...3 { try await fixture.put(Fixture.item(number)) }
    let watch = try fixture.watch()
    let tokens = PageTokens(key: .init(repeating: 3, count: 32))
    let future = try tokens.seal(["4", "1"], binding: watch.binding)
    let other = try tokens.seal(["3", "1"], binding: watch.binding)
    try await fixture.store.pruneJournal(before: .max, limit: 1)
    for token in [first, future, other] {
      #expect(await fixture.refusal(try fixture.watch(token)) == "FAILED_PRECONDITION CHANGE_TOKEN_EXPIRED")
    }
  }

  @Test("a consumer that makes no room is told that it is too slow, and nothing was queued for it meanwhile")
  func tooSlow() async throws {
    let consumer = Consumer(fixture.feed, try fixture.watch(), isOpen: false)
    await consumer.take()
    let token = try await consumer.next().resumeToken
    for number in 1...500 { try await fixture.put(Fixture.item(number)) }
    await consumer.stuck()
    await fixture.sleep.wake { $0 == Fixture.stallLimit }
    #expect(await consumer.end() == "RESOURCE_EXHAUSTED OVERLOADED")
    #expect(consumer.offered == 2)
    #expect(fixture.store.commits.followerCount == 0)
    let resumed = fixture.consume(try fixture.watch(token))
    #expect(try await resumed.changes(500).changes.count == 500)
    await resumed.cancel()
  }

  @Test("a consumer that falls behind what is kept is told so")
  func fallsBehind() async throws {
    let consumer = Consumer(fixture.feed, try fixture.watch(), isOpen: false)
    await consumer.take()
    _ = try await consumer.next()
    try await fixture.put(Fixture.item(1))
    await consumer.stuck()
    for number in 2...5 { try await fixture.put(Fixture.item(number)) }
    try await fixture.store.pruneJournal(before: .max, limit: 1000)
    await consumer.take()
    #expect(await consumer.end() == "FAILED_PRECONDITION CHANGE_TOKEN_EXPIRED")
  }

  @Test("a caller may have so many watches, all callers together so many, and each that ends makes room")
  func limits() async throws {
    var limits = WatchLimits()
    (limits.total, limits.perCaller) = (3, 2)
    let fixture = ChangeFeedFixture(limits: limits)
    let other = Principal(id: "c2", role: .clinician)
    let two = [fixture.consume(try fixture.watch()), fixture.consume(try fixture.watch())]
    for consumer in two { _ = try await consumer.next() }
    #expect(await fixture.refusal(try fixture.watch()) == "RESOURCE_EXHAUSTED OVERLOADED")
    let third = fixture.consume(try fixture.watch(by: other, user: "c2"))
    _ = try await third.next()
    #expect(await fixture.refusal(try fixture.watch(by: other, user: "c2")) == "RESOURCE_EXHAUSTED OVERLOADED")
    await two[0].cancel()
    let again = fixture.consume(try fixture.watch())
    _ = try await again.next()
    #expect(fixture.feed.watchCount == 3)
    for consumer in [two[1], third, again] { await consumer.cancel() }
    #expect(fixture.feed.watchCount == 0 && fixture.store.commits.followerCount == 0)
  }

  @Test("a drain ends watches with a token given already, and begins none")
  func drain() async throws {
    let consumer = fixture.consume(try fixture.watch())
    let token = try await consumer.next().resumeToken
    fixture.drain.begin()
    #expect(await consumer.end() == "UNAVAILABLE DRAINING")
    #expect(await fixture.refusal(try fixture.watch(token)) == "UNAVAILABLE DRAINING")
  }

  @Test("a drain ends a watch whose consumer makes no room, too")
  func drainOfSlow() async throws {
    let consumer = Consumer(fixture.feed, try fixture.watch(), isOpen: false)
    await consumer.stuck()
    fixture.drain.begin()
    #expect(await consumer.end() == "UNAVAILABLE DRAINING")
  }

  @Test("a caller that goes away leaves nothing behind")
  func cancelled() async throws {
    let consumer = fixture.consume(try fixture.watch())
    _ = try await consumer.next()
    await consumer.cancel()
    #expect(fixture.store.commits.followerCount == 0 && fixture.feed.watchCount == 0)
  }

  @Test("a resource without a version is a corrupt record")
  func corrupt() async throws {
    let consumer = fixture.consume(try fixture.watch())
    _ = try await consumer.next()
    try await fixture.put(["id": .string(Fixture.id(1)), "userId": "c1"])
    #expect(await consumer.end() == "DATA_LOSS RECORD_CORRUPT")
  }

  @Test(
    "while writers run and the consumer is cut off again and again, each version comes once, in order",
    arguments: [1, 2] as [UInt64])
  func underLoad(seed: UInt64) async throws {
    let (writers, versions) = (8, 40)
    var token = try await token(try fixture.watch())
    let fixture = fixture
    let writing = Task {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<writers {
          group.addTask {
            for version in 1...versions {
              try await fixture.put(Fixture.item(writer, version: Int64(version)))
              try await fixture.put(Fixture.item(writer, version: Int64(version), user: "c2"))
              await Task.yield()
            }
          }
        }
        try await group.waitForAll()
      }
    }
    var generator = RandomSource.seeded(seed)
    var seen: [String: [Int64]] = [:]
    var last: Int64 = 0
    while seen.values.reduce(0, { $0 + $1.count }) < writers * versions {
      let consumer = fixture.consume(try fixture.watch(token))
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let response = try await consumer.next()
        for change in response.changes {
          #expect(change.sequence > last)
          last = change.sequence
          seen[change.id, default: []].append(change.version)
        }
        token = response.resumeToken
        if seen.values.reduce(0, { $0 + $1.count }) == writers * versions { break }
      }
      await consumer.cancel()
    }
    try await writing.value
    #expect(
      seen == Dictionary(uniqueKeysWithValues: (0..<writers).map { (Fixture.id($0), (1...versions).map(Int64.init)) }))
  }
}
