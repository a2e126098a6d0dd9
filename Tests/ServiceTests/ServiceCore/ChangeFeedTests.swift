import CivilTime
import Identity
import RPC
import ServiceTestSupport
import StandardProtos
import Storage
import Testing

@testable import ServiceCore

@Suite("Change feed (DOMAIN 11)", .timeLimit(.minutes(5)))
struct ChangeFeedTests {
  private typealias Fixture = ChangeFeedFixture
  private let fixture = ChangeFeedFixture()

  @Test("without a token the first response comes at once, empty, and later changes follow")
  func fromNowOn() async throws {
    try await fixture.put(Fixture.item(1))
    let consumer = fixture.consume(try fixture.watch())
    let first = try await consumer.next()
    #expect(first.changes.isEmpty && first.isCaughtUp && !first.resumeToken.isEmpty)
    #expect(first.readTime == Instant("2026-03-14T12:00:00Z"))
    try await fixture.put(Fixture.item(2))
    let second = try await consumer.next()
    #expect(
      second.changes == [
        FeedChange(
          sequence: 2 * 128, kind: .thing, id: Fixture.id(2), userId: "c1", version: 1, operation: .created,
          changedPaths: [], committedAt: Instant(seconds: 1_773_489_600))
      ])
    await consumer.cancel()
  }

  @Test("a change tells its fields, sorted, but no internal attribute and no bookkeeping; a deletion its last version")
  func operations() async throws {
    let consumer = try await fixture.begin(try fixture.watch())
    let before: Item = ["phone": "1", "phoneDigits": "1", "updatedAt": "a"]
    let after: Item = ["phone": "2", "phoneDigits": "2", "updatedAt": "b", "firstName": "Ann"]
    try await fixture.put(Fixture.item(1, version: 1, before))
    try await fixture.put(Fixture.item(1, version: 2, after))
    try await fixture.store.transact([.delete(ItemKey(Fixture.id(1), "c1"), in: Fixture.things)])
    let changes = try await consumer.changes(3).changes
    #expect(changes.map(\.operation) == [.created, .updated, .deleted])
    #expect(changes.map(\.version) == [1, 2, 2])
    #expect(changes.map(\.changedPaths) == [[], ["first_name", "phone"], []])
    await consumer.cancel()
  }

  @Test("internal items and other clinicians' never come, whatever they look like")
  func isolation() async throws {
    let consumer = try await fixture.begin(try fixture.watch())
    for id in ["mrn#M-1", "schedule#c1", Fixture.id(9).uppercased(), Fixture.id(9) + "#1", "idempotency#aa"] {
      try await fixture.put(["id": .string(id), "userId": "c1", "version": 7])
    }
    try await fixture.put(Fixture.item(3, user: "c2"), Fixture.item(3, user: "C1"), Fixture.item(3, user: "c1 "))
    try await fixture.put(Fixture.item(4))
    #expect(try await consumer.changes(1).changes.map(\.id) == [Fixture.id(4)])
    await consumer.cancel()
  }

  @Test("only the kinds that are asked for; a place in the feed is the same for all who watch")
  func kinds() async throws {
    let all = try await fixture.begin(try fixture.watch())
    let some = try await fixture.begin(try fixture.watch(kinds: [.other]))
    try await fixture.store.transact([
      .put(Fixture.item(1), in: Fixture.things), .put(Fixture.item(2), in: Fixture.others),
    ])
    let (everything, others) = (try await all.changes(2).changes, try await some.changes(1).changes)
    #expect(everything.map(\.kind) == [.thing, .other])
    #expect(others == [everything[1]])
    #expect(everything[0].sequence < everything[1].sequence)
    await all.cancel()
    await some.cancel()
  }

  @Test("a transaction is never split, responses hold 100 changes unless one transaction has more")
  func responses() async throws {
    let token = try await token()
    for batch in 0..<30 {
      try await fixture.store.transact((0..<9).map { .put(Fixture.item(batch * 9 + $0), in: Fixture.things) })
    }
    let consumer = fixture.consume(try fixture.watch(token))
    var sizes: [Int] = []
    var sequences: [Int64] = []
    while sequences.count < 270 {
      let response = try await consumer.next()
      sizes.append(response.changes.count)
      sequences += response.changes.map(\.sequence)
      #expect(response.isCaughtUp == (sequences.count == 270))
    }
    #expect(sizes == [99, 99, 72])
    #expect(sequences == sequences.sorted() && Set(sequences).count == 270)
    await consumer.cancel()
  }

  @Test("going on from any token gives the rest, each change once", arguments: [1, 2, 3] as [UInt64])
  func resume(seed: UInt64) async throws {
    var random = RandomSource.seeded(seed)
    var (token, written, seen) = (try await token(), Int64(0), [Int64]())
    for _ in 0..<20 {
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        written += 1
        try await fixture.put(Fixture.item(1, version: written))
        try await fixture.put(Fixture.item(1, version: written, user: "c2"))
      }
      let consumer = fixture.consume(try fixture.watch(token))
      let response = try await consumer.next()
      // Now and then the consumer dies before it has dealt with what it got.
      if Int.random(in: 0..<3, using: &random) > 0 {
        seen += response.changes.map(\.version)
        token = response.resumeToken
      }
      await consumer.cancel()
    }
    let consumer = fixture.consume(try fixture.watch(token))
    seen += try await consumer.next().changes.map(\.version)
    await consumer.cancel()
    #expect(seen == Array(1...written))
  }

  @Test("in silence a sign of life comes with a token that others' commits have moved on")
  func heartbeat() async throws {
    let consumer = fixture.consume(try fixture.watch(heartbeat: .seconds(5)))
    let first = try await consumer.next()
    for number in 1...5 { try await fixture.put(Fixture.item(number, user: "c2")) }
    await fixture.sleep.wake { $0 <= .seconds(5) }
    let second = try await consumer.next()
    #expect(second.changes.isEmpty && second.isCaughtUp && second.resumeToken != first.resumeToken)
    #expect(fixture.sleep.slept.allSatisfy { $0 == Fixture.stallLimit || $0 <= .seconds(5) })
    await consumer.cancel()
    // The journal may forget what the second token is past of, the first token is too old then.
    try await fixture.store.pruneJournal(before: .max, limit: 1000)
    #expect(await fixture.refusal(try fixture.watch(first.resumeToken)) == "FAILED_PRECONDITION CHANGE_TOKEN_EXPIRED")
    let resumed = fixture.consume(try fixture.watch(second.resumeToken))
    #expect(try await resumed.next().isCaughtUp)
    await resumed.cancel()
  }

  @Test(
    "an interval of silence is from 1 s to 10 min, 30 s by default",
    arguments: [
      (nil, true), ((0, 999_999_999), false), ((1, 0), true), ((600, 0), true), ((600, 1), false), ((-1, 0), false),
      ((5, -1), false),
    ] as [((Int64, Int32)?, Bool)])
  func interval(requested: (Int64, Int32)?, isValid: Bool) {
    var violations = FieldViolations()
    let message = requested.map { seconds, nanos in
      var duration = GoogleProtobuf.Duration()
      (duration.seconds, duration.nanos) = (seconds, nanos)
      return duration
    }
    let interval = violations.heartbeatInterval(message)
    #expect(violations.isEmpty == isValid)
    #expect(violations.all.allSatisfy { $0.field == "heartbeat_interval" && $0.reason == "OUT_OF_RANGE" })
    #expect(requested != nil || interval == .seconds(30))
  }

  private func token() async throws -> String {
    let consumer = fixture.consume(try fixture.watch())
    let token = try await consumer.next().resumeToken
    await consumer.cancel()
    return token
  }
}
