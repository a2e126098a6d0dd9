internal import Synchronization

/// Whether the services of a process serve: what the parts of the process report, and what `grpc.health.v1` tells.
///
/// The name "" is the server as a whole. Unknown names have no status. Source: gRPC "Health Checking Protocol"; WIRE W58.
package final class HealthStatus: Sendable {
  package enum Serving: Int32, Sendable, Hashable {
    case unknown = 0
    case serving = 1
    case notServing = 2
    /// Told to watchers of a name that is not known.
    case serviceUnknown = 3
  }

  fileprivate struct State {
    var statuses: [String: Serving] = [:]
    var watchers: [Int: Watcher] = [:]
    var nextWatcher = 0
    var isDraining = false
  }

  fileprivate struct Watcher {
    let service: String
    let continuation: AsyncStream<Serving>.Continuation
  }

  private let state: Mutex<State>

  /// - Parameter services: known from the start, together with "", with the status `initial`.
  package init(services: [String] = [], initial: Serving = .notServing) {
    var state = State()
    for service in services + [""] { state.statuses[service] = initial }
    self.state = Mutex(state)
  }

  /// Reports the status of a service, or with "" of the whole server. Without effect once the process drains.
  package func set(_ status: Serving, for service: String) {
    state.withLock { state in
      guard !state.isDraining else { return }
      state.set(status, for: service)
    }
  }

  /// Reports one status for every known service and the whole server.
  package func setAll(_ status: Serving) {
    state.withLock { state in
      guard !state.isDraining else { return }
      for service in state.statuses.keys { state.set(status, for: service) }
    }
  }

  /// Turns everything to NOT_SERVING, for good, before connections are drained; then ends all watches.
  package func beginDrain() {
    let watchers = state.withLock { state -> [Watcher] in
      guard !state.isDraining else { return [] }
      for service in state.statuses.keys { state.set(.notServing, for: service) }
      state.isDraining = true
      defer { state.watchers.removeAll() }
      return Array(state.watchers.values)
    }
    // Outside the lock: ending a stream calls back into ``removeWatcher(_:)``.
    for watcher in watchers { watcher.continuation.finish() }
  }

  package func status(of service: String) -> Serving? { state.withLock { $0.statuses[service] } }

  package var all: [String: Serving] { state.withLock { $0.statuses } }

  package var isDraining: Bool { state.withLock { $0.isDraining } }

  /// How many watches there are.
  package var watcherCount: Int { state.withLock { $0.watchers.count } }

  /// The present status at once (`serviceUnknown` for an unknown name), then the newest after each change: a reader
  /// that is slow misses those between. Ends with ``beginDrain()``, or when the task that reads is cancelled.
  package func changes(of service: String) -> AsyncStream<Serving> {
    let (stream, continuation) = AsyncStream.makeStream(of: Serving.self, bufferingPolicy: .bufferingNewest(1))
    let id = state.withLock { state -> Int? in
      continuation.yield(state.statuses[service] ?? .serviceUnknown)
      guard !state.isDraining else { return nil }
      defer { state.nextWatcher += 1 }
      state.watchers[state.nextWatcher] = Watcher(service: service, continuation: continuation)
      return state.nextWatcher
    }
    guard let id else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in self?.removeWatcher(id) }
    return stream
  }

  private func removeWatcher(_ id: Int) {
    _ = state.withLock { $0.watchers.removeValue(forKey: id) }
  }
}

extension HealthStatus.State {
  fileprivate mutating func set(_ status: HealthStatus.Serving, for service: String) {
    guard statuses.updateValue(status, forKey: service) != status else { return }
    for watcher in watchers.values where watcher.service == service { watcher.continuation.yield(status) }
  }
}
