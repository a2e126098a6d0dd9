internal import Storage

/// The writer's thread: takes what is queued, commits it as one group, answers.
///
/// A group is what has come in while the group before was being synced, so an idle store commits at once and a busy one
/// shares each sync among many. Nothing is answered before the sync: a refusal may rest on another transaction of its
/// group.
final class CommitLoop: Sendable {
  enum Work: Sendable {
    case transact(PreparedTransaction)
    case sweep(limit: Int)
    case prune(before: Int64, limit: Int)
  }

  struct Job: Sendable {
    var work: Work
    var answer: CheckedContinuation<Result<Int, StoreError>, Never>
  }

  private let queue: WorkQueue<Job>
  private let health: StoreHealth
  private let clock: StoreClock
  private let groupSize: Int
  // Only the loop's thread touches the writer once it runs; before, the initializer has it alone.
  nonisolated(unsafe) private let writer: TransactionWriter
  private let checkpointer: Checkpointer
  private let finished = Finish()

  init(
    _ writer: TransactionWriter, checkpointer: Checkpointer, health: StoreHealth,
    configuration: EmbeddedStore.Configuration
  ) {
    unsafe self.writer = writer
    self.checkpointer = checkpointer
    self.health = health
    clock = configuration.clock
    groupSize = max(1, configuration.groupSize)
    queue = WorkQueue(capacity: configuration.queuedTransactions)
  }

  func start() {
    checkpointer.start()
    StoreThread.writer.start { self.run() }
  }

  func submit(_ work: Work) async throws(StoreError) -> Int {
    let result = await withCheckedContinuation { answer in
      do throws(WorkQueue<Job>.Refusal) {
        try queue.submit(Job(work: work, answer: answer))
      } catch {
        answer.resume(returning: .failure(error == .full ? .overloaded : .unavailable("the store is closed")))
      }
    }
    return try result.get()
  }

  /// Refuses more work, finishes what is queued, closes the connections.
  func close() async throws {
    // First, since the writer copies the rest of the WAL before it leaves, and two cannot.
    var failure: (any Error)?
    do { try await checkpointer.close() } catch { failure = error }
    queue.close()
    try await finished.wait()
    if let failure { throw failure }
  }

  private func run() {
    while let jobs = queue.next(limit: groupSize, timeout: isSuspended ? .seconds(1) : nil) {
      if case .failed(let reason) = health.status {
        answer(jobs, Array(repeating: .failure(.unavailable(reason)), count: jobs.count))
      } else if jobs.isEmpty {
        attempt { unsafe try writer.probe() }
      } else {
        answer(jobs, commit(jobs))
        unsafe checkpointer.advance(walPages: writer.walPages) { unsafe try writer.checkpoint() }
      }
    }
    // A store that has failed is written no more: opening it anew finds out what is on the disk.
    finished.finish(Result { unsafe try writer.close(keepingWAL: health.hasFailed) })
  }

  private var isSuspended: Bool { if case .suspended = health.status { true } else { false } }

  private func answer(_ jobs: [Job], _ results: [Result<Int, StoreError>]) {
    for (job, result) in zip(jobs, results) { job.answer.resume(returning: result) }
  }
}

extension CommitLoop {
  private func commit(_ jobs: [Job]) -> [Result<Int, StoreError>] {
    var results: [Result<Int, StoreError>] = []
    let failure = attempt {
      for job in jobs {
        StoreThread.giveWay()
        do { results.append(.success(try perform(job.work))) } catch let error as StoreError {
          results.append(.failure(error))
        }
      }
    }
    guard let failure else { return results }
    if case .refuse(let error) = failure {
      return jobs.count == 1 ? [.failure(error)] : jobs.flatMap { commit([$0]) }
    }
    return Array(repeating: .failure(.unavailable(failure.reason)), count: jobs.count)
  }

  private func perform(_ work: Work) throws -> Int {
    switch work {
    case .transact(let transaction):
      unsafe try writer.apply(transaction, now: clock())
      return 0
    case .sweep(let limit): return unsafe try writer.sweep(limit: limit, now: clock())
    case .prune(let time, let limit): return unsafe try writer.prune(before: time, limit: limit)
    }
  }

  /// Runs `body` in a SQLite transaction and moves the store's status by how that went.
  @discardableResult
  private func attempt(_ body: () throws -> Void) -> SQLiteFailure.Consequence? {
    do {
      unsafe try writer.beginGroup()
      try body()
      unsafe try writer.commit()
      health.move(to: .serving)
      // A sync that succeeds beside a checkpoint whose sync did not says nothing.
      if case .failed(let reason) = health.status { return .stop(reason) }
      return nil
    } catch {
      unsafe writer.rollback()
      let consequence = SQLiteFailure(error).consequence
      switch consequence {
      case .refuse: break
      case .suspend(let reason): health.move(to: .suspended(reason))
      case .stop(let reason): health.move(to: .failed(reason))
      }
      return consequence
    }
  }

}

extension SQLiteFailure.Consequence {
  fileprivate var reason: String {
    switch self {
    case .suspend(let reason), .stop(let reason): reason
    case .refuse: "the database refused"
    }
  }
}
