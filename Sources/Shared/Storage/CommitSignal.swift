internal import Synchronization

/// Where the journal of a store ends, and whom each commit wakes.
///
/// An engine tells it of every commit, when it is durable and visible to readers. Readers of the journal follow it
/// instead of asking again and again; nothing is queued for them: a follower holds one number, however many commits it
/// has not looked at.
package final class CommitSignal: Sendable {
  /// An item that a transaction wrote.
  package struct Touch: Sendable {
    /// Where the journal ended before that transaction.
    package var before: JournalPosition
    package var table: String
    package var key: ItemKey

    package init(before: JournalPosition, table: String, key: ItemKey) {
      self.before = before
      self.table = table
      self.key = key
    }
  }

  private struct Entry {
    let filter: ChangeFilter
    /// The place before the oldest commit that was admitted and not taken yet.
    var before: JournalPosition?
    var waiter: CheckedContinuation<Void, Never>?
  }

  private struct State {
    var end: JournalPosition
    var entries: [Int: Entry] = [:]
    /// Followers by the sort key that their filter names, so that a commit costs the same however many others there are.
    var places: [String?: Set<Int>] = [:]
    var lastFollower = 0
  }

  private let state: Mutex<State>

  /// - Parameter end: of the journal when the store was opened.
  package init(end: JournalPosition = .start) { state = Mutex(State(end: end)) }

  /// The place after the last commit.
  package var end: JournalPosition { state.withLock { $0.end } }

  /// How many follow.
  package var followerCount: Int { state.withLock { $0.entries.count } }

  /// Begins to note the commits that `filter` admits, until the follower is let go.
  package func follow(_ filter: ChangeFilter) -> CommitFollower {
    let id = state.withLock { state in
      state.lastFollower += 1
      state.entries[state.lastFollower] = Entry(filter: filter)
      state.places[filter.sortKey, default: []].insert(state.lastFollower)
      return state.lastFollower
    }
    return CommitFollower(signal: self, id: id)
  }

  /// For engines: `touches` were committed, in the order of their commits, and the journal ends at `end` now.
  package func committed(_ touches: [Touch], end: JournalPosition) {
    let waiters = state.withLock { state in
      state.end = end
      var waiters: [CheckedContinuation<Void, Never>] = []
      if state.entries.isEmpty { return waiters }
      for touch in touches {
        for place in [touch.key.sort, nil] {
          for id in state.places[place] ?? [] {
            guard var entry = state.entries[id], entry.filter.admits(table: touch.table, key: touch.key) else {
              continue
            }
            entry.before = entry.before ?? touch.before
            if let waiter = entry.waiter { waiters.append(waiter) }
            entry.waiter = nil
            state.entries[id] = entry
          }
        }
      }
      return waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}

extension CommitSignal {
  fileprivate func take(_ id: Int) -> CommitFollower.News {
    state.withLock { state in
      defer { state.entries[id]?.before = nil }
      return CommitFollower.News(end: state.end, before: state.entries[id]?.before)
    }
  }

  fileprivate func wait(_ id: Int) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { waiter in
        let isSettled = state.withLock { state in
          guard !Task.isCancelled, let entry = state.entries[id], entry.before == nil, entry.waiter == nil else {
            return true
          }
          state.entries[id]?.waiter = waiter
          return false
        }
        if isSettled { waiter.resume() }
      }
    } onCancel: {
      wake(id)
    }
  }

  private func wake(_ id: Int) {
    let waiter = state.withLock { state in
      defer { state.entries[id]?.waiter = nil }
      return state.entries[id]?.waiter
    }
    waiter?.resume()
  }

  fileprivate func forget(_ id: Int) {
    let waiter = state.withLock { state in
      guard let entry = state.entries.removeValue(forKey: id) else { return CheckedContinuation<Void, Never>?.none }
      state.places[entry.filter.sortKey]?.remove(id)
      if state.places[entry.filter.sortKey]?.isEmpty == true { state.places[entry.filter.sortKey] = nil }
      return entry.waiter
    }
    waiter?.resume()
  }
}

/// One reader's view of the commits: what came since it last looked, and a way to wait for more. For one task at a time.
package final class CommitFollower: Sendable {
  package struct News: Sendable, Hashable {
    /// Where the journal ended.
    package var end: JournalPosition
    /// The place before the oldest commit that the filter admits and that was not told before; `nil`: there was none.
    package var before: JournalPosition?
  }

  private let signal: CommitSignal
  private let id: Int

  fileprivate init(signal: CommitSignal, id: Int) {
    self.signal = signal
    self.id = id
  }

  deinit { signal.forget(id) }

  /// What came since the last call, or since the beginning. Whoever reads the journal through ``News/end`` now has
  /// missed nothing, and will be told of everything after it.
  package func take() -> News { signal.take(id) }

  /// Returns as soon as there is something to take, or the task is cancelled.
  package func wait() async { await signal.wait(id) }
}
