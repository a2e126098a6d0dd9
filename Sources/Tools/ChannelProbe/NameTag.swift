internal import Synchronization

/// How a server names itself, known once it listens.
final class NameTag: Sendable {
  private let value = Mutex("")
  private let wasUsed = Atomic(false)

  var text: String {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }

  /// True for the first who asks.
  var isFirstUse: Bool { !wasUsed.exchange(true, ordering: .relaxed) }
}
