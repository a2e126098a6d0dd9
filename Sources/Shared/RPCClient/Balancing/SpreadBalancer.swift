package import NIOCore

/// The policies of a channel that keeps a connection to every address: `round_robin` and `least_request`.
///
/// Each address has its own connection, attempts and backoff. A connection that is lost is made again at once, but no
/// sooner than its backoff after its last attempt. The channel is READY while any connection is, and in
/// TRANSIENT_FAILURE when all have failed since they were last ready. With health checking a connection is ready only
/// while its server says SERVING. With outlier detection a server that fails too many calls counts as failed for a
/// while, its connection stays.
///
/// Sources: gRPC "Load Balancing Policies"; gRFC A48 (least_request), A17 (health), A50 (outliers), A62; WIRE W50–W52, W59.
package struct SpreadBalancer: LoadBalancer {
  package enum Choice: Sendable, Hashable {
    /// The next connection in turn.
    case roundRobin
    /// The one with the fewest open calls among so many that are drawn at random (with replacement).
    case leastRequest(choiceCount: Int)
  }

  private enum State: Hashable {
    /// Not before the address' own time.
    case waiting
    case connecting(ConnectionID)
    /// Connected; what the server says of its health is not known.
    case checking(ConnectionID)
    case ready(ConnectionID)
    /// Connected to a server that does not serve.
    case unhealthy(ConnectionID)
  }

  private struct Subchannel {
    var address: AddressHistory
    var state = State.waiting
    /// Holds until READY (A62).
    var failing: ConnectFailure?
    var host = OutlierDetection.Host()

    /// The connection that calls may take.
    var usable: ConnectionID? {
      guard case .ready(let id) = state, !host.isEjected else { return nil }
      return id
    }

    var connection: ConnectionID? {
      switch state {
      case .waiting: nil
      case .connecting(let id), .checking(let id), .ready(let id), .unhealthy(let id): id
      }
    }
  }

  /// Addresses beyond are not used: each costs a connection.
  package static let maxAddresses = 128

  private let choice: Choice
  private let checksHealth: Bool
  private let policy: ConnectionBackoff.Policy
  private var outliers: OutlierDetection?
  private var generator: SeededGenerator
  private var subchannels: [Subchannel] = []
  private var nextNumber = 0
  private var turn = 0
  private var isAwake = false
  private var isShutDown = false
  private var timer: NIODeadline?
  private var resolutionFailure: ConnectFailure?
  private var lastFailure: ConnectFailure?

  package init(
    _ choice: Choice, checksHealth: Bool = false, outliers: OutlierDetection.Configuration? = nil,
    policy: ConnectionBackoff.Policy = .init(), seed: UInt64
  ) {
    self.choice = choice
    self.checksHealth = checksHealth
    self.outliers = outliers.map(OutlierDetection.init)
    self.policy = policy
    generator = SeededGenerator(seed: seed)
    // Not every client of a service begins with the same server.
    turn = Int.random(in: 0..<Self.maxAddresses, using: &generator)
  }

  package var connectivity: Connectivity {
    if isShutDown { return .shutdown }
    guard isAwake else { return .idle }
    if subchannels.contains(where: { $0.usable != nil }) { return .ready }
    if subchannels.isEmpty { return resolutionFailure.map(Connectivity.transientFailure) ?? .connecting }
    guard let lastFailure, subchannels.allSatisfy({ $0.failing != nil }) else { return .connecting }
    return .transientFailure(lastFailure)
  }

  package mutating func pick(load: (ConnectionID) -> Int?) -> ConnectionID? {
    if case .leastRequest(let count) = choice, let id = leastLoaded(of: count, load) { return id }
    for offset in 0..<subchannels.count {
      let index = (turn + offset) % subchannels.count
      guard let id = subchannels[index].usable, load(id) != nil else { continue }
      turn = index + 1
      return id
    }
    return nil
  }

  private mutating func leastLoaded(of count: Int, _ load: (ConnectionID) -> Int?) -> ConnectionID? {
    let ready = subchannels.compactMap(\.usable)
    guard !ready.isEmpty else { return nil }
    var best: (id: ConnectionID, calls: Int)?
    for _ in 0..<count {
      let id = ready[Int.random(in: 0..<ready.count, using: &generator)]
      guard let calls = load(id) else { continue }
      if best.map({ calls < $0.calls }) ?? true { best = (id, calls) }
    }
    return best?.id
  }
}

// MARK: - Events

extension SpreadBalancer {
  package mutating func wake(now: NIODeadline) -> [BalancerAction] {
    guard !isAwake, !isShutDown else { return [] }
    isAwake = true
    return subchannels.isEmpty ? [.resolve] : dial(now: now)
  }

  package mutating func addressesChanged(_ endpoints: [Endpoint], now: NIODeadline) -> [BalancerAction] {
    guard !isShutDown else { return [] }
    resolutionFailure = nil
    var known = Dictionary(subchannels.map { ($0.address.endpoint, $0) }, uniquingKeysWith: { first, _ in first })
    var seen: Set<Endpoint> = []
    let wanted = endpoints.filter { seen.insert($0).inserted }.prefix(Self.maxAddresses)
    let before = subchannels
    subchannels = wanted.map { endpoint in
      known.removeValue(forKey: endpoint) ?? Subchannel(address: AddressHistory(endpoint, policy: policy))
    }
    let left = before.filter { known[$0.address.endpoint] != nil }.compactMap { subchannel -> BalancerAction? in
      switch subchannel.state {
      case .waiting: nil
      case .connecting(let id): .abandon(id)
      case .checking(let id), .ready(let id), .unhealthy(let id): .drain(id)
      }
    }
    return isAwake ? left + dial(now: now) : left
  }

  package mutating func resolutionFailed(_ failure: ConnectFailure) -> [BalancerAction] {
    guard subchannels.isEmpty, isAwake, !isShutDown else { return [] }
    resolutionFailure = failure
    return [.failWaiting(failure)]
  }

  package mutating func connected(_ id: ConnectionID, now: NIODeadline) -> [BalancerAction] {
    guard let index = index(of: id) else { return [.abandon(id)] }
    subchannels[index].address.succeeded(mayDialAtOnce: false)
    guard !checksHealth else {
      subchannels[index].state = .checking(id)
      return []
    }
    return becameReady(index, id)
  }

  package mutating func connectFailed(
    _ id: ConnectionID, _ failure: ConnectFailure, now: NIODeadline
  ) -> [BalancerAction] {
    guard let index = index(of: id) else { return [] }  // Abandoned before it failed.
    subchannels[index].state = .waiting
    let failure = subchannels[index].address.failed(failure)
    return failed(index, failure) + [.resolve] + dial(now: now)
  }

  package mutating func healthChanged(
    _ id: ConnectionID, _ failure: ConnectFailure?, now: NIODeadline
  ) -> [BalancerAction] {
    guard let index = index(of: id) else { return [] }
    switch (subchannels[index].state, failure) {
    case (.waiting, _), (.connecting, _), (.ready, nil): return []
    case (.checking, nil), (.unhealthy, nil): return becameReady(index, id)
    case (.checking, let failure?), (.ready, let failure?), (.unhealthy, let failure?):
      subchannels[index].state = .unhealthy(id)
      return failed(index, failure)
    }
  }

  package mutating func connectionEnded(_ id: ConnectionID, now: NIODeadline) -> [BalancerAction] {
    guard let index = index(of: id) else { return [] }
    subchannels[index].state = .waiting
    return [.resolve] + dial(now: now)
  }

  package mutating func timerFired(now: NIODeadline) -> [BalancerAction] {
    guard !isShutDown else { return [] }
    timer = nil
    return sweep(now: now) + dial(now: now)
  }

  package mutating func attemptEnded(_ id: ConnectionID, succeeded: Bool) {
    guard outliers != nil, let index = index(of: id) else { return }
    subchannels[index].host.record(succeeded: succeeded)
  }

  package mutating func shutdown() -> [BalancerAction] {
    let open = subchannels
    subchannels = []
    isShutDown = true
    return open.compactMap { subchannel -> BalancerAction? in
      switch subchannel.state {
      case .waiting: nil
      case .connecting(let id): .abandon(id)
      case .checking(let id), .ready(let id), .unhealthy(let id): .drain(id)
      }
    } + [.cancelTimer]
  }
}

// MARK: - Subchannels

extension SpreadBalancer {
  private func index(of id: ConnectionID) -> Int? { subchannels.firstIndex { $0.connection == id } }

  private mutating func becameReady(_ index: Int, _ id: ConnectionID) -> [BalancerAction] {
    subchannels[index].state = .ready(id)
    guard !subchannels[index].host.isEjected else { return [] }
    subchannels[index].failing = nil
    return [.becameReady(id)]
  }

  /// Calls that wait are failed when this was the last hope.
  private mutating func failed(_ index: Int, _ failure: ConnectFailure) -> [BalancerAction] {
    subchannels[index].failing = failure
    lastFailure = failure
    if case .transientFailure = connectivity { return [.failWaiting(failure)] }
    return []
  }

  /// Ejects servers and takes them back, if it is time for that.
  private mutating func sweep(now: NIODeadline) -> [BalancerAction] {
    guard outliers != nil else { return [] }
    var hosts = subchannels.map(\.host)
    let changed = outliers?.sweep(&hosts, now: now, using: &generator) ?? []
    for index in subchannels.indices { subchannels[index].host = hosts[index] }
    return changed.flatMap { index -> [BalancerAction] in
      let endpoint = subchannels[index].address.endpoint
      let isEjected = hosts[index].isEjected
      let note = BalancerAction.ejected(endpoint, isEjected)
      if isEjected {
        let cause = "the server fails too many of its calls and gets none for a while"
        return [note] + failed(index, ConnectFailure(phase: .outlier, address: "\(endpoint)", cause: cause))
      }
      guard case .ready(let id) = subchannels[index].state else { return [note] }
      return [note] + becameReady(index, id)
    }
  }

  /// Dials every address whose time has come, and sets the timer for the first of the others.
  private mutating func dial(now: NIODeadline) -> [BalancerAction] {
    var actions: [BalancerAction] = []
    outliers?.start(now: now)
    var next = outliers?.nextSweep
    for index in subchannels.indices where subchannels[index].state == .waiting {
      if let notBefore = subchannels[index].address.notBefore, notBefore > now {
        // The first of those that wait.
        next = next.map { min($0, notBefore) } ?? notBefore
        continue
      }
      let id = ConnectionID(number: nextNumber)
      nextNumber += 1
      subchannels[index].state = .connecting(id)
      let timeout = subchannels[index].address.begin(now: now, using: &generator)
      actions.append(.connect(subchannels[index].address.endpoint, id, timeout: timeout))
    }
    guard let next else {
      defer { timer = nil }
      return timer == nil ? actions : actions + [.cancelTimer]
    }
    guard next != timer else { return actions }
    timer = next
    return actions + [.setTimer(next)]
  }
}
