package import NIOCore

/// The connectivity of a channel that uses one connection at a time: which address to try when.
///
/// Addresses are tried in order, the next one when an attempt fails or after 250 ms, and the first to become usable
/// wins. A pass without success is TRANSIENT_FAILURE until a connection is ready: calls fail at once with the last
/// failure, while attempts go on, each address after its own backoff. A connection that ends leaves IDLE: the next
/// call connects anew. Pure: events and the time go in, actions come out.
///
/// Sources: gRFC A61 and A62; RFC 8305; WIRE W50–W53.
package struct PickFirst: Sendable {
  /// Names one connection attempt, and then the connection that came of it.
  package struct AttemptID: Sendable, Hashable {
    let number: Int
  }

  package enum Action: Sendable, Hashable {
    case resolve
    case connect(Endpoint, AttemptID, timeout: TimeAmount)
    /// Give up an attempt (or close a connection that came too late).
    case abandon(AttemptID)
    /// Call ``timerFired(now:)`` then; replaces an earlier timer.
    case setTimer(NIODeadline)
    case cancelTimer
    /// Calls that wait go to this connection.
    case becameReady(AttemptID)
    /// Calls that do not wait for ready fail with this.
    case failWaiting(ConnectFailure)
  }

  package enum Connectivity: Sendable, Hashable {
    case idle, connecting
    case ready(AttemptID)
    case transientFailure(ConnectFailure)
    case shutdown
  }

  private enum Phase: Hashable {
    case idle
    case resolving
    /// A pass over the addresses; the index is the next one to start.
    case trying(next: Int)
    /// Between passes.
    case waiting
    case ready(AttemptID)
    case shutdown
  }

  private struct Address {
    let endpoint: Endpoint
    var backoff: ConnectionBackoff
    var failures = 0
    var notBefore: NIODeadline?
  }

  private struct Attempt {
    let endpoint: Endpoint
    let started: NIODeadline
    let delay: TimeAmount
  }

  /// Between the starts of attempts to successive addresses. RFC 8305 section 5 allows 100 ms to 2 s.
  static let attemptDelay = TimeAmount.milliseconds(250)

  private let policy: ConnectionBackoff.Policy
  private var generator: SeededGenerator
  private var phase = Phase.idle
  private var addresses: [Address] = []
  private var attempts: [AttemptID: Attempt] = [:]
  private var nextNumber = 0
  private var resolutionBackoff: ConnectionBackoff
  private var lastFailure: ConnectFailure?
  /// TRANSIENT_FAILURE holds until READY (A62).
  private var failing: ConnectFailure?

  package init(policy: ConnectionBackoff.Policy = .init(), seed: UInt64) {
    self.policy = policy
    self.generator = SeededGenerator(seed: seed)
    self.resolutionBackoff = ConnectionBackoff(policy)
  }

  package var connectivity: Connectivity {
    switch phase {
    case .shutdown: .shutdown
    case .ready(let id): .ready(id)
    case .idle: .idle
    case .resolving, .trying, .waiting: failing.map(Connectivity.transientFailure) ?? .connecting
    }
  }
}

// MARK: - Events

extension PickFirst {
  /// A call wants a connection. Does something only in IDLE.
  package mutating func wake() -> [Action] {
    guard phase == .idle else { return [] }
    phase = .resolving
    return [.resolve]
  }

  package mutating func resolved(_ endpoints: [Endpoint], now: NIODeadline) -> [Action] {
    guard phase == .resolving else { return [] }  // Shut down meanwhile.
    resolutionBackoff.reset()
    let known = Dictionary(addresses.map { ($0.endpoint, $0) }, uniquingKeysWith: { first, _ in first })
    addresses = endpoints.interleavedByFamily().map {
      known[$0] ?? Address(endpoint: $0, backoff: ConnectionBackoff(policy))
    }
    phase = .trying(next: 0)
    return advance(now: now)
  }

  /// Addresses that are known from an earlier resolution are tried all the same.
  package mutating func resolutionFailed(_ failure: ConnectFailure, now: NIODeadline) -> [Action] {
    guard phase == .resolving else { return [] }
    guard addresses.isEmpty else {
      phase = .trying(next: 0)
      return advance(now: now)
    }
    lastFailure = failure
    return passFailed(failure, retryAt: now + resolutionBackoff.nextDelay(using: &generator))
  }

  /// The server's SETTINGS arrived.
  package mutating func connected(_ id: AttemptID) -> [Action] {
    guard let attempt = attempts.removeValue(forKey: id) else { return [.abandon(id)] }
    if let index = addresses.firstIndex(where: { $0.endpoint == attempt.endpoint }) {
      addresses[index].backoff.reset()
      addresses[index].failures = 0
      addresses[index].notBefore = nil
    }
    let others = attempts.keys.sorted { $0.number < $1.number }
    attempts.removeAll()
    phase = .ready(id)
    failing = nil
    return others.map(Action.abandon) + [.cancelTimer, .becameReady(id)]
  }

  package mutating func connectFailed(_ id: AttemptID, _ failure: ConnectFailure, now: NIODeadline) -> [Action] {
    guard let attempt = attempts.removeValue(forKey: id) else { return [] }  // Abandoned before it failed.
    var failure = failure
    if let index = addresses.firstIndex(where: { $0.endpoint == attempt.endpoint }) {
      addresses[index].failures += 1
      addresses[index].notBefore = attempt.started + attempt.delay
      failure.attempt = addresses[index].failures
    }
    lastFailure = failure
    return advance(now: now)
  }

  /// The connection takes no more calls: it was lost, or the server sent GOAWAY.
  package mutating func connectionEnded(_ id: AttemptID) -> [Action] {
    guard phase == .ready(id) else { return [] }
    phase = .idle
    return []
  }

  package mutating func timerFired(now: NIODeadline) -> [Action] {
    switch phase {
    case .trying: return advance(now: now)
    case .waiting:
      phase = .resolving
      return [.resolve]
    case .idle, .resolving, .ready, .shutdown: return []  // The timer was overtaken.
    }
  }

  package mutating func shutdown() -> [Action] {
    let pending = attempts.keys.sorted { $0.number < $1.number }
    attempts.removeAll()
    phase = .shutdown
    return pending.map(Action.abandon) + [.cancelTimer]
  }
}

// MARK: - A pass over the addresses

extension PickFirst {
  /// Starts the next attempt, or ends the pass when nothing is left of it.
  private mutating func advance(now: NIODeadline) -> [Action] {
    guard case .trying(var next) = phase else { return [] }
    while next < addresses.count {
      defer { next += 1 }
      if let notBefore = addresses[next].notBefore, notBefore > now { continue }
      let id = AttemptID(number: nextNumber)
      nextNumber += 1
      let delay = addresses[next].backoff.nextDelay(using: &generator)
      attempts[id] = Attempt(endpoint: addresses[next].endpoint, started: now, delay: delay)
      let connect = Action.connect(
        addresses[next].endpoint, id, timeout: addresses[next].backoff.connectTimeout(delay: delay))
      phase = .trying(next: next + 1)
      return next + 1 < addresses.count ? [connect, .setTimer(now + Self.attemptDelay)] : [connect]
    }
    phase = .trying(next: next)
    guard attempts.isEmpty else { return [] }
    let failure =
      lastFailure
      ?? ConnectFailure(phase: .resolving, address: "the target", cause: "its names have no addresses")
    let retryAt =
      addresses.compactMap(\.notBefore).min() ?? (now + resolutionBackoff.nextDelay(using: &generator))
    return passFailed(failure, retryAt: retryAt)
  }

  private mutating func passFailed(_ failure: ConnectFailure, retryAt: NIODeadline) -> [Action] {
    failing = failure
    phase = .waiting
    return [.failWaiting(failure), .setTimer(retryAt)]
  }
}
