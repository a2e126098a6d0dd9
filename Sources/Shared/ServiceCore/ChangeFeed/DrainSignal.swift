internal import Synchronization

/// Tells whatever would otherwise go on without end that the process is ending.
package final class DrainSignal: Sendable {
  private struct State {
    var isDraining = false
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    var last = 0
  }

  private let state = Mutex(State())

  package init() {}

  package var isDraining: Bool { state.withLock { $0.isDraining } }

  /// For good; again does nothing.
  package func begin() {
    let waiting = state.withLock { state in
      state.isDraining = true
      defer { state.waiting = [:] }
      return state.waiting.values
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Returns when the process drains, or the task is cancelled.
  package func wait() async {
    let id = state.withLock { state in
      state.last += 1
      return state.last
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          if state.isDraining || Task.isCancelled { return true }
          state.waiting[id] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
    }
  }
}
