package import NIOCore

/// The policy of a channel that uses one connection at a time: which address to try when.
///
/// Addresses are tried in order, the next one when an attempt fails or after 250 ms, and the first to become usable
/// wins. A pass without success is TRANSIENT_FAILURE until a connection is ready: calls fail at once with the last
/// failure, while attempts go on, each address after its own backoff. A connection that ends leaves IDLE: the next
/// call connects anew. A connection whose address is no longer among the target's is drained. Health is not asked
/// for: there is no other connection to go to (gRFC A17).
///
/// Sources: gRFC A61 and A62; RFC 8305; WIRE W50–W53.
package struct PickFirst: LoadBalancer {
  private enum Phase: Hashable {
    case idle
    /// There are no addresses yet.
    case resolving
    /// A pass over the addresses; the index is the next one to start.
    case trying(next: Int)
    /// Between passes.
    case waiting
    case ready(ConnectionID, Endpoint)
    case shutdown
  }

  /// Between the starts of attempts to successive addresses. RFC 8305 section 5 allows 100 ms to 2 s.
  package static let attemptDelay = TimeAmount.milliseconds(250)

  private let policy: ConnectionBackoff.Policy
  private var generator: SeededGenerator
  private var phase = Phase.idle
  private var addresses: [AddressHistory] = []
  private var attempts: [ConnectionID: Endpoint] = [:]
  private var nextNumber = 0
  private var lastFailure: ConnectFailure?
  /// TRANSIENT_FAILURE holds until READY (A62).
  private var failing: ConnectFailure?

  package init(policy: ConnectionBackoff.Policy = .init(), seed: UInt64) {
    self.policy = policy
    self.generator = SeededGenerator(seed: seed)
  }

  package var connectivity: Connectivity {
    switch phase {
    case .shutdown: .shutdown
    case .ready: .ready
    case .idle: .idle
    case .resolving, .trying, .waiting: failing.map(Connectivity.transientFailure) ?? .connecting
    }
  }

  package mutating func pick(load: (ConnectionID) -> Int?) -> ConnectionID? {
    guard case .ready(let id, _) = phase, load(id) != nil else { return nil }
    return id
  }
}

// MARK: - Events

extension PickFirst {
  package mutating func wake(now: NIODeadline) -> [BalancerAction] {
    guard phase == .idle else { return [] }
    guard !addresses.isEmpty else {
      phase = .resolving
      return [.resolve]
    }
    phase = .trying(next: 0)
    return advance(now: now)
  }

  package mutating func addressesChanged(_ endpoints: [Endpoint], now: NIODeadline) -> [BalancerAction] {
    guard phase != .shutdown else { return [] }
    let known = Dictionary(addresses.map { ($0.endpoint, $0) }, uniquingKeysWith: { first, _ in first })
    addresses = endpoints.interleavedByFamily().map { known[$0] ?? AddressHistory($0, policy: policy) }
    let gone = attempts.filter { attempt in !addresses.contains { $0.endpoint == attempt.value } }.keys
    for id in gone { attempts[id] = nil }
    let abandoned = gone.sorted { $0.number < $1.number }.map(BalancerAction.abandon)
    switch phase {
    case .ready(let id, let endpoint):
      guard !addresses.contains(where: { $0.endpoint == endpoint }) else { return [] }
      phase = .idle
      return [.drain(id)]
    case .trying where !attempts.isEmpty:
      // Whoever is new gets its turn after the usual delay; addresses that are being dialled are passed over.
      phase = .trying(next: 0)
      return abandoned + [.setTimer(now + Self.attemptDelay)]
    case .waiting where !addresses.contains(where: { $0.isDue(now) }):
      return [.setTimer(addresses.compactMap(\.notBefore).min() ?? now)]
    case .resolving, .trying, .waiting:
      phase = .trying(next: 0)
      return abandoned + advance(now: now)
    case .idle, .shutdown: return abandoned
    }
  }

  package mutating func resolutionFailed(_ failure: ConnectFailure) -> [BalancerAction] {
    guard phase == .resolving else { return [] }
    failing = failure
    return [.failWaiting(failure)]
  }

  package mutating func connected(_ id: ConnectionID, now: NIODeadline) -> [BalancerAction] {
    guard let endpoint = attempts.removeValue(forKey: id) else { return [.abandon(id)] }
    if let index = addresses.firstIndex(where: { $0.endpoint == endpoint }) {
      addresses[index].succeeded(mayDialAtOnce: true)
    }
    let others = attempts.keys.sorted { $0.number < $1.number }
    attempts.removeAll()
    phase = .ready(id, endpoint)
    failing = nil
    lastFailure = nil
    return others.map(BalancerAction.abandon) + [.cancelTimer, .becameReady(id)]
  }

  package mutating func connectFailed(
    _ id: ConnectionID, _ failure: ConnectFailure, now: NIODeadline
  ) -> [BalancerAction] {
    guard let endpoint = attempts.removeValue(forKey: id) else { return [] }  // Abandoned before it failed.
    if let index = addresses.firstIndex(where: { $0.endpoint == endpoint }) {
      lastFailure = addresses[index].failed(failure)
    } else {
      lastFailure = failure
    }
    return advance(now: now)
  }

  package mutating func healthChanged(
    _ id: ConnectionID, _ failure: ConnectFailure?, now: NIODeadline
  ) -> [BalancerAction] { [] }

  package mutating func connectionEnded(_ id: ConnectionID, now: NIODeadline) -> [BalancerAction] {
    guard case .ready(id, _) = phase else { return [] }
    phase = .idle
    return [.resolve]
  }

  package mutating func timerFired(now: NIODeadline) -> [BalancerAction] {
    switch phase {
    case .trying: return advance(now: now)
    case .waiting:
      phase = .trying(next: 0)
      return advance(now: now)
    case .idle, .resolving, .ready, .shutdown: return []  // The timer was overtaken.
    }
  }

  package mutating func shutdown() -> [BalancerAction] {
    let pending = attempts.keys.sorted { $0.number < $1.number }.map(BalancerAction.abandon)
    attempts.removeAll()
    defer { phase = .shutdown }
    if case .ready(let id, _) = phase { return pending + [.drain(id), .cancelTimer] }
    return pending + [.cancelTimer]
  }
}

// MARK: - A pass over the addresses

extension PickFirst {
  /// Starts the next attempt, or ends the pass when nothing is left of it.
  private mutating func advance(now: NIODeadline) -> [BalancerAction] {
    guard case .trying(var next) = phase else { return [] }
    while next < addresses.count {
      defer { next += 1 }
      guard addresses[next].isDue(now) else { continue }
      let endpoint = addresses[next].endpoint
      if attempts.values.contains(endpoint) { continue }
      let id = ConnectionID(number: nextNumber)
      nextNumber += 1
      attempts[id] = endpoint
      let connect = BalancerAction.connect(
        endpoint, id, timeout: addresses[next].begin(now: now, using: &generator))
      phase = .trying(next: next + 1)
      return next + 1 < addresses.count ? [connect, .setTimer(now + Self.attemptDelay)] : [connect]
    }
    phase = .trying(next: next)
    guard attempts.isEmpty else { return [] }
    let retryAt = addresses.compactMap(\.notBefore).min() ?? now
    phase = .waiting
    guard let failure = lastFailure else { return [.setTimer(retryAt)] }
    failing = failure
    return [.failWaiting(failure), .resolve, .setTimer(retryAt)]
  }
}
