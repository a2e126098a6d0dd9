internal import Synchronization

/// The store's status, told to its owner when it changes.
final class StoreHealth: Sendable {
  private let current = Mutex(EmbeddedStore.Status.serving)
  private let onChange: @Sendable (EmbeddedStore.Status) -> Void

  init(onChange: @escaping @Sendable (EmbeddedStore.Status) -> Void) { self.onChange = onChange }

  var status: EmbeddedStore.Status { current.withLock { $0 } }
  var hasFailed: Bool { if case .failed = status { true } else { false } }

  /// A checkpoint that fails loses nothing, the WAL still has it all; but a failed sync of the database is as final as
  /// one of the WAL.
  func checkpointFailed(_ error: any Error) {
    if case .stop(let reason) = SQLiteFailure(error).consequence { move(to: .failed(reason)) }
  }

  /// Moves on, unless the store has failed or closed, which it does not come back from.
  func move(to status: EmbeddedStore.Status) {
    let isChange = current.withLock { current in
      switch current {
      case .closed, status: return false
      case .failed where status != .closed: return false
      default:
        current = status
        return true
      }
    }
    if isChange { onChange(status) }
  }
}
