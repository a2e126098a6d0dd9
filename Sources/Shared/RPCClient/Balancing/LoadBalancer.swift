package import NIOCore

/// Decides which addresses a channel is connected to, and which connection takes the next call. Pure: events and the
/// time go in, actions come out; its driver keeps the connections.
///
/// Connectivity is that of gRPC's "Connectivity Semantics": TRANSIENT_FAILURE holds until READY (gRFC A62, WIRE W52).
package protocol LoadBalancer: Sendable {
  var connectivity: Connectivity { get }

  /// A call wants a connection. Does something only in IDLE.
  mutating func wake(now: NIODeadline) -> [BalancerAction]
  /// What the target's names mean now; never empty.
  mutating func addressesChanged(_ endpoints: [Endpoint], now: NIODeadline) -> [BalancerAction]
  /// The names could not be resolved; addresses that are known stay in use.
  mutating func resolutionFailed(_ failure: ConnectFailure) -> [BalancerAction]
  /// The server's SETTINGS arrived.
  mutating func connected(_ id: ConnectionID, now: NIODeadline) -> [BalancerAction]
  mutating func connectFailed(_ id: ConnectionID, _ failure: ConnectFailure, now: NIODeadline) -> [BalancerAction]
  /// What the server says of its health (WIRE W59); `nil`: it serves.
  mutating func healthChanged(_ id: ConnectionID, _ failure: ConnectFailure?, now: NIODeadline) -> [BalancerAction]
  /// The connection takes no more calls: it was lost, or the server sent GOAWAY.
  mutating func connectionEnded(_ id: ConnectionID, now: NIODeadline) -> [BalancerAction]
  /// An attempt of a call on the connection is over.
  mutating func attemptEnded(_ id: ConnectionID, succeeded: Bool)
  mutating func timerFired(now: NIODeadline) -> [BalancerAction]
  mutating func shutdown() -> [BalancerAction]

  /// The connection for the next call.
  ///
  /// - Parameter load: open calls of a connection; `nil` when it has no room for another (WIRE W57).
  /// - Returns: `nil` when no connection is ready and has room.
  mutating func pick(load: (ConnectionID) -> Int?) -> ConnectionID?
}

extension LoadBalancer {
  package mutating func attemptEnded(_ id: ConnectionID, succeeded: Bool) {}
}

/// Names one connection attempt, and then the connection that came of it.
package struct ConnectionID: Sendable, Hashable {
  let number: Int
}

package enum BalancerAction: Sendable, Hashable {
  /// The addresses may be out of date.
  case resolve
  case connect(Endpoint, ConnectionID, timeout: TimeAmount)
  /// Give up an attempt (or close a connection that came too late).
  case abandon(ConnectionID)
  /// Calls of the connection may end; no new ones come.
  case drain(ConnectionID)
  /// Call ``LoadBalancer/timerFired(now:)`` then; replaces an earlier timer.
  case setTimer(NIODeadline)
  case cancelTimer
  /// Calls that wait can be served.
  case becameReady(ConnectionID)
  /// Calls that do not wait for ready fail with this.
  case failWaiting(ConnectFailure)
  /// For the log: the server fails too many calls and gets none for a while, or is back.
  case ejected(Endpoint, Bool)
}

package enum Connectivity: Sendable, Hashable {
  case idle, connecting, ready
  case transientFailure(ConnectFailure)
  case shutdown
}

/// What is remembered of one address between its attempts (WIRE W50).
struct AddressHistory: Sendable {
  let endpoint: Endpoint
  private var backoff: ConnectionBackoff
  private var failures = 0
  /// Not to be dialled before, counted from the start of its last attempt.
  private(set) var notBefore: NIODeadline?

  init(_ endpoint: Endpoint, policy: ConnectionBackoff.Policy) {
    self.endpoint = endpoint
    backoff = ConnectionBackoff(policy)
  }

  /// An attempt begins.
  ///
  /// - Returns: how long it may take.
  mutating func begin(now: NIODeadline, using generator: inout SeededGenerator) -> TimeAmount {
    let delay = backoff.nextDelay(using: &generator)
    notBefore = now + delay
    return backoff.connectTimeout(delay: delay)
  }

  /// - Returns: the failure, with the number of the attempt.
  mutating func failed(_ failure: ConnectFailure) -> ConnectFailure {
    failures += 1
    var failure = failure
    failure.attempt = failures
    return failure
  }

  func isDue(_ now: NIODeadline) -> Bool { notBefore.map { $0 <= now } ?? true }

  /// The server's SETTINGS arrived.
  ///
  /// - Parameter mayDialAtOnce: otherwise the next attempt still waits for ``notBefore``, so that a server that accepts
  ///   and hangs up is not dialled in a loop.
  mutating func succeeded(mayDialAtOnce: Bool) {
    backoff.reset()
    failures = 0
    if mayDialAtOnce { notBefore = nil }
  }
}
