package import NIOCore

/// When the names of a target are looked up: when they are first needed, whenever a connection fails or ends (but not
/// more often than a minimum interval), every period, and after a failure with backoff. Pure: the time goes in.
///
/// Sources: gRPC "Name Resolution"; WIRE 1.10 and W53.
package struct ResolutionSchedule: Sendable {
  package struct Policy: Sendable, Hashable {
    /// Between look-ups while nothing asks for one; `nil`: none.
    package var period: TimeAmount?
    /// A look-up that is asked for sooner after the last successful one waits.
    package var minimumInterval: TimeAmount
    /// Between look-ups that fail.
    package var backoff: ConnectionBackoff.Policy

    package init(
      period: TimeAmount? = .seconds(60), minimumInterval: TimeAmount = .seconds(5),
      backoff: ConnectionBackoff.Policy = .init()
    ) {
      self.period = period
      self.minimumInterval = minimumInterval
      self.backoff = backoff
    }
  }

  package enum Action: Sendable, Hashable {
    /// Look the names up, then tell ``succeeded(now:)`` or ``failed(now:)``.
    case resolve
    /// Call ``timerFired(now:)`` then; replaces an earlier timer.
    case setTimer(NIODeadline)
  }

  private enum Phase: Hashable {
    case never
    case running(isWantedAgain: Bool)
    /// `notBefore` is the end of the minimum interval.
    case resolved(notBefore: NIODeadline)
    case backingOff
  }

  private let policy: Policy
  private var phase = Phase.never
  private var backoff: ConnectionBackoff
  private var generator: SeededGenerator
  private var timer: NIODeadline?

  package init(_ policy: Policy, seed: UInt64) {
    self.policy = policy
    backoff = ConnectionBackoff(policy.backoff)
    generator = SeededGenerator(seed: seed)
  }

  /// Somebody wants to know what the names mean now.
  package mutating func request(now: NIODeadline) -> Action? {
    switch phase {
    case .never: return begin()
    case .running:
      // What is under way may have been asked before the change that is hoped for.
      phase = .running(isWantedAgain: true)
      return nil
    case .resolved(let notBefore):
      guard notBefore > now else { return begin() }
      return setTimer(notBefore)
    case .backingOff: return nil
    }
  }

  package mutating func succeeded(now: NIODeadline) -> Action? {
    guard case .running(let isWantedAgain) = phase else { return nil }
    backoff.reset()
    timer = nil
    let notBefore = now + policy.minimumInterval
    phase = .resolved(notBefore: notBefore)
    if isWantedAgain { return setTimer(notBefore) }
    return policy.period.flatMap { setTimer(now + max($0, policy.minimumInterval)) }
  }

  package mutating func failed(now: NIODeadline) -> Action? {
    guard case .running = phase else { return nil }
    timer = nil
    phase = .backingOff
    return setTimer(now + backoff.nextDelay(using: &generator))
  }

  package mutating func timerFired(now: NIODeadline) -> Action? {
    guard timer.map({ $0 <= now }) ?? false else { return nil }
    switch phase {
    case .resolved, .backingOff: return begin()
    case .never, .running: return nil
    }
  }

  private mutating func begin() -> Action {
    timer = nil
    phase = .running(isWantedAgain: false)
    return .resolve
  }

  private mutating func setTimer(_ at: NIODeadline) -> Action? {
    if let timer, timer <= at { return nil }
    timer = at
    return .setTimer(at)
  }
}
