internal import DequeModule
internal import Dispatch
internal import Synchronization

/// A bounded queue between callers, who never block, and the store's threads, which wait here.
final class WorkQueue<Job: Sendable>: Sendable {
  enum Refusal: Error { case full, closed }

  fileprivate struct State {
    var jobs: Deque<Job> = []
    /// Threads in `wait` that nobody has signalled yet.
    var waiting = 0
    var isClosed = false
  }

  private let capacity: Int
  private let state = Mutex(State())
  private let signal = DispatchSemaphore(value: 0)

  init(capacity: Int) { self.capacity = capacity }

  func submit(_ job: Job) throws(Refusal) {
    let wakes = try state.withLock { (state) throws(Refusal) -> Bool in
      guard !state.isClosed else { throw .closed }
      guard state.jobs.count < capacity else { throw .full }
      state.jobs.append(job)
      return state.takeWaiter()
    }
    if wakes { signal.signal() }
  }

  /// Refuses further jobs; those that are queued are still handed out.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.waiting = 0 }
      return state.waiting
    }
    for _ in 0..<waiting { signal.signal() }
  }

  /// Waits for jobs and takes at most `limit`; nothing once `timeout` has passed; `nil` when the queue is closed and
  /// empty.
  func next(limit: Int, timeout: DispatchTimeInterval? = nil) -> [Job]? {
    let deadline: DispatchTime = timeout.map { .now() + $0 } ?? .distantFuture
    while true {
      if let decided = state.withLock({ $0.take(limit) }) { return decided.isEmpty ? nil : decided }
      if signal.wait(timeout: deadline) == .timedOut {
        if state.withLock({ $0.takeWaiter() }) { return [] }
        // Signalled at the same moment: the token is on its way and must not stay behind.
        signal.wait()
      }
    }
  }
}

extension WorkQueue.State {
  fileprivate mutating func takeWaiter() -> Bool {
    guard waiting > 0 else { return false }
    waiting -= 1
    return true
  }

  /// Jobs; an empty array at the end of all; `nil` when the caller has to wait, and is counted as waiting.
  fileprivate mutating func take(_ limit: Int) -> [Job]? {
    if jobs.isEmpty {
      if isClosed { return [] }
      waiting += 1
      return nil
    }
    let batch = Array(jobs.prefix(limit))
    jobs.removeFirst(batch.count)
    return batch
  }
}
