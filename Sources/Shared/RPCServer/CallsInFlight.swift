internal import Synchronization

/// Counts the handlers that run in a server, whichever connection and loop they belong to.
final class CallsInFlight: Sendable {
  private let counter = Atomic<Int>(0)

  func started() { counter.wrappingAdd(1, ordering: .relaxed) }
  func finished() { counter.wrappingSubtract(1, ordering: .relaxed) }

  var count: Int { counter.load(ordering: .relaxed) }
}
