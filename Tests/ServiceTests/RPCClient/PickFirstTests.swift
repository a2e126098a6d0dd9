import NIOCore
import RPCClient
import Testing

@Suite struct PickFirstTests {
  private let t0 = NIODeadline.uptimeNanoseconds(1_000_000_000)
  private let a = Endpoint.ipv4(host: "127.0.0.1", port: 1)
  private let b = Endpoint.ipv4(host: "127.0.0.2", port: 2)

  /// Without jitter, so that times are exact.
  private func machine() -> PickFirst { PickFirst(policy: .init(jitter: 0), seed: 1) }

  private func failure(_ endpoint: Endpoint) -> ConnectFailure {
    ConnectFailure(phase: .connecting, address: endpoint.description, cause: "refused")
  }

  private func attempts(_ actions: [PickFirst.Action]) -> [(Endpoint, PickFirst.AttemptID)] {
    actions.compactMap { if case .connect(let endpoint, let id, _) = $0 { (endpoint, id) } else { nil } }
  }

  /// A machine whose only address was dialled.
  private func dialling(_ endpoints: [Endpoint]) throws -> (PickFirst, PickFirst.AttemptID) {
    var machine = machine()
    #expect(machine.wake() == [.resolve])
    let started = try #require(attempts(machine.resolved(endpoints, now: t0)).first)
    #expect(started.0 == endpoints[0])
    return (machine, started.1)
  }

  @Test("nothing happens before the first call, and one call wakes it once")
  func lazy() {
    var machine = machine()
    #expect(machine.connectivity == .idle)
    #expect(machine.wake() == [.resolve])
    #expect(machine.wake() == [])
    #expect(machine.connectivity == .connecting)
  }

  @Test("the first address is dialled with the minimum timeout, and becomes ready")
  func ready() throws {
    var (machine, id) = try dialling([a])
    #expect(machine.connected(id) == [.cancelTimer, .becameReady(id)])
    #expect(machine.connectivity == .ready(id))
    #expect(machine.wake() == [])
  }

  @Test("an address that fails gives way to the next at once (W53)")
  func next() throws {
    var (machine, first) = try dialling([a, b])
    let second = try #require(attempts(machine.connectFailed(first, failure(a), now: t0)).first)
    #expect(second.0 == b)
    #expect(machine.connectivity == .connecting)
    #expect(machine.connected(second.1) == [.cancelTimer, .becameReady(second.1)])
  }

  @Test("an address that is silent for 250 ms is raced by the next; the loser is abandoned (W53)")
  func race() throws {
    var machine = machine()
    _ = machine.wake()
    let actions = machine.resolved([a, b], now: t0)
    #expect(actions.contains(.setTimer(t0 + .milliseconds(250))))
    let first = try #require(attempts(actions).first).1
    let second = try #require(attempts(machine.timerFired(now: t0 + .milliseconds(250))).first).1
    #expect(machine.connected(second) == [.abandon(first), .cancelTimer, .becameReady(second)])
    #expect(machine.connected(first) == [.abandon(first)])
    #expect(machine.connectFailed(first, failure(a), now: t0) == [])
    #expect(machine.connectivity == .ready(second))
  }

  @Test("a pass without success fails the waiting calls with the last failure, and stays failing (W51, W52)")
  func transientFailure() throws {
    var (machine, first) = try dialling([a])
    var expected = failure(a)
    expected.attempt = 1
    #expect(
      machine.connectFailed(first, failure(a), now: t0 + .milliseconds(1))
        == [.failWaiting(expected), .setTimer(t0 + .seconds(1))])
    #expect(machine.connectivity == .transientFailure(expected))
    #expect(machine.wake() == [])

    #expect(machine.timerFired(now: t0 + .seconds(1)) == [.resolve])
    let again = try #require(attempts(machine.resolved([a], now: t0 + .seconds(1))).first).1
    #expect(machine.connectivity == .transientFailure(expected))
    _ = machine.connected(again)
    #expect(machine.connectivity == .ready(again))
  }

  @Test("each address has its own backoff, counted from the start of its attempt (W50)")
  func perAddress() throws {
    var (machine, first) = try dialling([a, b])
    let second = try #require(attempts(machine.connectFailed(first, failure(a), now: t0 + .milliseconds(5))).first).1
    let ended = machine.connectFailed(second, failure(b), now: t0 + .seconds(3))
    #expect(ended.contains(.setTimer(t0 + .seconds(1))))  // a's backoff ended while b was silent
    _ = machine.timerFired(now: t0 + .seconds(3))
    // b was started 5 ms after a, so both may be dialled again after 3 s.
    #expect(attempts(machine.resolved([b, a], now: t0 + .milliseconds(1003))).map(\.0) == [a])
  }

  @Test("backoff grows from pass to pass and is forgotten once the connection is usable (W50)")
  func growth() throws {
    var (machine, id) = try dialling([a])
    var now = t0
    for delay in [1_000, 1_600, 2_560] as [Int64] {
      let ended = machine.connectFailed(id, failure(a), now: now)
      #expect(ended.contains(.setTimer(now + .milliseconds(delay))))
      now = now + .milliseconds(delay)
      _ = machine.timerFired(now: now)
      id = try #require(attempts(machine.resolved([a], now: now)).first).1
    }
    _ = machine.connected(id)
    _ = machine.connectionEnded(id)
    _ = machine.wake()
    id = try #require(attempts(machine.resolved([a], now: now)).first).1
    #expect(machine.connectFailed(id, failure(a), now: now).contains(.setTimer(now + .seconds(1))))
  }

  @Test("a connection that ends leaves the channel idle until the next call")
  func reconnect() throws {
    var (machine, id) = try dialling([a])
    _ = machine.connected(id)
    #expect(machine.connectionEnded(id) == [])
    #expect(machine.connectivity == .idle)
    #expect(machine.connectionEnded(id) == [])
    #expect(machine.wake() == [.resolve])
  }

  @Test("names that do not resolve fail the waiting calls, and are asked again after the backoff")
  func resolution() {
    var machine = machine()
    _ = machine.wake()
    let failure = ConnectFailure(phase: .resolving, address: "nowhere", cause: "unknown name")
    #expect(machine.resolutionFailed(failure, now: t0) == [.failWaiting(failure), .setTimer(t0 + .seconds(1))])
    #expect(machine.timerFired(now: t0 + .seconds(1)) == [.resolve])
    #expect(attempts(machine.resolved([a], now: t0)).map(\.0) == [a])
  }

  @Test("addresses of an earlier resolution serve when a later one fails")
  func stale() throws {
    var (machine, id) = try dialling([a])
    _ = machine.connected(id)
    _ = machine.connectionEnded(id)
    _ = machine.wake()
    let failure = ConnectFailure(phase: .resolving, address: "nowhere", cause: "unknown name")
    #expect(attempts(machine.resolutionFailed(failure, now: t0)).map(\.0) == [a])
  }

  @Test("no addresses at all is a failure, not a hang")
  func empty() {
    var machine = machine()
    _ = machine.wake()
    let actions = machine.resolved([], now: t0)
    #expect(actions.count == 2)
    #expect(actions.last == .setTimer(t0 + .seconds(1)))
  }

  @Test("shutdown abandons what is under way and is final")
  func shutdown() throws {
    var (machine, id) = try dialling([a])
    #expect(machine.shutdown() == [.abandon(id), .cancelTimer])
    #expect(machine.connectivity == .shutdown)
    #expect(machine.wake() == [])
    #expect(machine.connected(id) == [.abandon(id)])
    #expect(machine.connectivity == .shutdown)
    #expect(machine.timerFired(now: t0) == [])
  }
}
