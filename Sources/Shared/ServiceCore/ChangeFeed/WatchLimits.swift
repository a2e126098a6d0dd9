internal import Identity
internal import Synchronization

/// How many watches there may be at once. A watch costs little, but lasts as long as its caller likes.
package struct WatchLimits: Sendable, Hashable {
  /// In the whole process.
  package var total = 2048
  /// Of one caller.
  package var perCaller = 32

  package init() {}
}

/// Counts the watches under way.
final class WatchRegister: Sendable {
  /// One watch's place, given back when it is let go.
  final class Place: Sendable {
    private let register: WatchRegister
    private let caller: CallerName

    fileprivate init(_ register: WatchRegister, _ caller: CallerName) {
      self.register = register
      self.caller = caller
    }

    deinit { register.leave(caller) }
  }

  fileprivate struct CallerName: Hashable {
    var role: Principal.Role
    var id: String
  }

  private struct State {
    var total = 0
    var byCaller: [CallerName: Int] = [:]
  }

  private let limits: WatchLimits
  private let state = Mutex(State())

  init(_ limits: WatchLimits) { self.limits = limits }

  /// How many there are.
  var count: Int { state.withLock { $0.total } }

  /// - Returns: `nil` when there are as many as there may be.
  func enter(_ caller: Principal.Caller) -> Place? {
    let name = CallerName(role: caller.role, id: caller.id)
    let isAdmitted = state.withLock { state in
      guard state.total < limits.total, state.byCaller[name, default: 0] < limits.perCaller else { return false }
      state.total += 1
      state.byCaller[name, default: 0] += 1
      return true
    }
    return isAdmitted ? Place(self, name) : nil
  }

  private func leave(_ name: CallerName) {
    state.withLock { state in
      state.total -= 1
      state.byCaller[name] = state.byCaller[name].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
  }
}
