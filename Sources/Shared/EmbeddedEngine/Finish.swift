internal import Synchronization

/// The end of a thread, for tasks that wait for it.
final class Finish: Sendable {
  private enum State {
    case running([CheckedContinuation<Result<Void, any Error>, Never>])
    case finished(Result<Void, any Error>)
  }

  private let state = Mutex(State.running([]))

  func finish(_ result: Result<Void, any Error>) {
    let waiting = state.withLock { state in
      guard case .running(let waiting) = state else { return [CheckedContinuation<Result<Void, any Error>, Never>]() }
      state = .finished(result)
      return waiting
    }
    for continuation in waiting { continuation.resume(returning: result) }
  }

  func wait() async throws {
    let result = await withCheckedContinuation { continuation in
      let result: Result<Void, any Error>? = state.withLock { state in
        switch state {
        case .finished(let result): return result
        case .running(let waiting):
          state = .running(waiting + [continuation])
          return nil
        }
      }
      if let result { continuation.resume(returning: result) }
    }
    try result.get()
  }
}
