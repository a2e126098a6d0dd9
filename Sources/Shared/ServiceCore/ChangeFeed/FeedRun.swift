internal import CivilTime
internal import RPC
internal import Storage

/// One watch under way: reads the journal from its place, tells what it finds, and waits for more.
struct FeedRun<Kind: Hashable & Sendable> {
  typealias Send = @Sendable (FeedResponse<Kind>) async throws -> Void

  private let feed: ChangeFeed<Kind>
  private let watch: Watch<Kind>
  private let send: Send
  private let filter: ChangeFilter
  private var place = JournalPosition.start
  private var lastResponse = ContinuousClock.now
  private var saidCaughtUp = false

  /// Transactions of which one read looks at most.
  private static var readLimit: Int { 256 }
  /// Changes of a response, unless one transaction has more.
  private static var responseChanges: Int { 100 }

  init(feed: ChangeFeed<Kind>, watch: Watch<Kind>, send: @escaping Send) {
    self.feed = feed
    self.watch = watch
    self.send = send
    filter = ChangeFilter(tables: Set(feed.resources.map(\.table)), sortKey: watch.scope.userId)
  }

  /// - Parameter start: `nil`: from now on.
  mutating func run(from start: JournalPosition?) async throws {
    // Commits are noted from here on, before the journal is read: none falls between.
    let follower = feed.journal.commits.follow(filter)
    place = start ?? follower.take().end
    while true {
      let readTime = feed.clock.now()
      let page = try await read()
      try await tell(page, readTime: readTime)
      place = page.through
      if page.reachesEnd { try await idle(follower) }
    }
  }

  private func read() async throws -> JournalPage {
    do throws(StoreError) {
      let page = try await feed.journal.changes(after: place, matching: filter, limit: Self.readLimit)
      if let page { return page }
    } catch {
      throw feed.errors.store(error, field: "")
    }
    throw feed.errors.make(
      .changeTokenExpired, "Changes after the token are no longer kept; begin with an empty token and list everything.")
  }

  /// Sends what a page holds, whole transactions at a time, so that each token is a place between two of them.
  private mutating func tell(_ page: JournalPage, readTime: Instant) async throws {
    var changes: [FeedChange<Kind>] = []
    var told = place
    for transaction in page.transactions {
      let more = try self.changes(of: transaction)
      if !changes.isEmpty, changes.count + more.count > Self.responseChanges {
        try await respond(changes, through: told, isCaughtUp: false, readTime: readTime)
        changes = []
      }
      changes += more
      told = transaction.position
    }
    let isDue = page.reachesEnd ? !saidCaughtUp : silence >= watch.heartbeat
    guard !changes.isEmpty || isDue else { return }
    try await respond(changes, through: page.through, isCaughtUp: page.reachesEnd, readTime: readTime)
  }

  /// Waits for a commit that the watch wants, with a sign of life where it takes long.
  private mutating func idle(_ follower: CommitFollower) async throws {
    while true {
      try await pause(follower, atMost: max(.zero, watch.heartbeat - silence))
      let news = follower.take()
      if let before = news.before {
        // What lies between is of others.
        if before.sequence > place.sequence { place = before }
        return
      }
      if news.end.sequence > place.sequence { place = news.end }
      try await respond([], through: place, isCaughtUp: true, readTime: feed.clock.now())
    }
  }

  private var silence: Duration { lastResponse.duration(to: .now) }
}

extension FeedRun {
  private func changes(of transaction: CommittedTransaction) throws -> [FeedChange<Kind>] {
    var changes: [FeedChange<Kind>] = []
    for (index, change) in transaction.changes.enumerated() {
      guard let resource = feed.resources.first(where: { $0.owns(change) }),
        watch.kinds?.contains(resource.kind) ?? true
      else { continue }
      do throws(StoreError) {
        changes.append(try FeedChange(change, at: index, of: transaction, resource: resource))
      } catch {
        throw feed.errors.store(error, field: "")
      }
    }
    return changes
  }

  /// Hands a response to the transport, which may take its time, but not for ever.
  private mutating func respond(
    _ changes: [FeedChange<Kind>], through place: JournalPosition, isCaughtUp: Bool, readTime: Instant
  ) async throws {
    let response = FeedResponse(
      changes: changes, resumeToken: try feed.token(place, watch), isCaughtUp: isCaughtUp, readTime: readTime)
    let (send, pacing, errors) = (send, feed.pacing, feed.errors)
    try Task.checkCancellation()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await send(response)
        return true
      }
      group.addTask {
        try await pacing.sleep(pacing.stallLimit)
        return false
      }
      defer { group.cancelAll() }
      guard try await group.next() == true else {
        throw errors.make(.overloaded, "The consumer is too slow; go on from the last token.")
      }
    }
    (lastResponse, saidCaughtUp) = (.now, isCaughtUp)
  }

  /// Waits for a commit, or for some time.
  private func pause(_ follower: CommitFollower, atMost duration: Duration) async throws {
    let sleep = feed.pacing.sleep
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await follower.wait() }
      group.addTask { try? await sleep(duration) }
      await group.next()
      group.cancelAll()
    }
    try Task.checkCancellation()
  }
}
