internal import Storage
internal import Testing

@Suite("Commit signal", .timeLimit(.minutes(5))) struct CommitSignalTests {
  private static let mine = ChangeFilter(tables: ["patients"], sortKey: "u1")

  @Test("a commit that the filter admits is noted once, others only move the end", arguments: Engine.allCases)
  func news(engine: Engine) async throws {
    try await engine.withStore { store in
      try await store.put(Sample.patient("p0"))
      let follower = store.commits.follow(Self.mine)
      #expect(follower.take().before == nil)
      try await store.put(Sample.patient("x1", user: "u2"))
      try await store.transact([.put(Sample.patient("b1"), in: Sample.blocks)])
      #expect(follower.take().before == nil)
      let before = store.commits.end
      #expect(before.sequence == 3)
      try await store.put(Sample.patient("p1"))
      try await store.put(Sample.patient("p2"))
      let news = follower.take()
      #expect(news.before == before)
      #expect(news.end == store.commits.end)
      #expect(news.end.sequence == 5)
      #expect(follower.take().before == nil)
    }
  }

  @Test("who waits is woken by a commit, when readers see it", arguments: Engine.allCases)
  func wake(engine: Engine) async throws {
    try await engine.withStore { store in
      let follower = store.commits.follow(Self.mine)
      let seen = Task {
        await follower.wait()
        return try await store.get(Sample.key("p1"), from: Sample.patients)
      }
      try await store.put(Sample.patient("x1", user: "u2"))
      try await store.put(Sample.patient("p1"))
      #expect(try await seen.value == Sample.patient("p1"))
    }
  }

  @Test("a refused transaction is no news", arguments: Engine.allCases)
  func refused(engine: Engine) async throws {
    try await engine.withStore { store in
      let follower = store.commits.follow(ChangeFilter(tables: ["patients"]))
      await #expect(throws: StoreError.conditionFailed([1])) {
        try await store.transact([
          .put(Sample.patient("p1"), in: Sample.patients),
          .check(Sample.key("p2"), in: Sample.patients, if: .exists("id")),
        ])
      }
      #expect(follower.take().before == nil)
      #expect(store.commits.end == .start)
    }
  }

  @Test("the news of a sweep reaches those who follow all keys", arguments: Engine.allCases)
  func sweep(engine: Engine) async throws {
    let clock = TestClock(seconds: 1000)
    try await engine.withStore(clock: clock) { store in
      try await store.put(Sample.patient("t1", ["expiresAt": 1001]))
      let follower = store.commits.follow(ChangeFilter(tables: ["patients"]))
      clock.set(microseconds: 1_002_000_000)
      try await store.sweepExpired(limit: 10)
      #expect(follower.take().before?.sequence == 1)
    }
  }

  @Test("a cancelled wait returns, and a follower that is let go is forgotten")
  func ends() async throws {
    let signal = CommitSignal()
    do {
      let follower = signal.follow(Self.mine)
      let waiting = Task { await follower.wait() }
      waiting.cancel()
      await waiting.value
      #expect(signal.followerCount == 1)
    }
    #expect(signal.followerCount == 0)
  }

  @Test("a thousand commits that nobody took are one number")
  func coalesced() async throws {
    let signal = CommitSignal()
    let follower = signal.follow(Self.mine)
    for sequence in 1...1000 {
      signal.committed(
        [.init(before: signal.end, table: "patients", key: Sample.key("p\(sequence)"))],
        end: JournalPosition(sequence: Int64(sequence), committedAt: 1))
    }
    let news = follower.take()
    #expect(news.before == .start)
    #expect(news.end.sequence == 1000)
  }
}
