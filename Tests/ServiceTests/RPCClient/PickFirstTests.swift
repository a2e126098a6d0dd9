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

  private func attempts(_ actions: [BalancerAction]) -> [(Endpoint, ConnectionID)] {
    actions.compactMap { if case .connect(let endpoint, let id, _) = $0 { (endpoint, id) } else { nil } }
  }

  /// A machine whose only address was dialled.
  private func dialling(_ endpoints: [Endpoint]) throws -> (PickFirst, ConnectionID) {
    var machine = machine()
    #expect(machine.wake(now: t0) == [.resolve])
    let started = try #require(attempts(machine.addressesChanged(endpoints, now: t0)).first)
    #expect(started.0 == endpoints[0])
    return (machine, started.1)
  }

  @Test("nothing happens before the first call, and one call wakes it once")
  func lazy() {
    var machine = machine()
    #expect(machine.connectivity == .idle)
    #expect(machine.wake(now: t0) == [.resolve])
    #expect(machine.wake(now: t0) == [])
    #expect(machine.connectivity == .connecting)
  }

  @Test("the first address is dialled with the minimum timeout, becomes ready, and takes every call")
  func ready() throws {
    var (machine, id) = try dialling([a])
    #expect(machine.pick { _ in 0 } == nil)
    #expect(machine.connected(id, now: t0) == [.cancelTimer, .becameReady(id)])
    #expect(machine.connectivity == .ready)
    #expect(machine.wake(now: t0) == [])
    #expect(machine.pick { _ in 5 } == id)
    #expect(machine.pick { _ in nil } == nil)
  }

  @Test("an address that fails gives way to the next at once (W53)")
  func next() throws {
    var (machine, first) = try dialling([a, b])
    let second = try #require(attempts(machine.connectFailed(first, failure(a), now: t0)).first)
    #expect(second.0 == b)
    #expect(machine.connectivity == .connecting)
    #expect(machine.connected(second.1, now: t0) == [.cancelTimer, .becameReady(second.1)])
  }

  @Test("an address that is silent for 250 ms is raced by the next; the loser is abandoned (W53)")
  func race() throws {
    var machine = machine()
    _ = machine.wake(now: t0)
    let actions = machine.addressesChanged([a, b], now: t0)
    #expect(actions.contains(.setTimer(t0 + .milliseconds(250))))
    let first = try #require(attempts(actions).first).1
    let second = try #require(attempts(machine.timerFired(now: t0 + .milliseconds(250))).first).1
    #expect(machine.connected(second, now: t0) == [.abandon(first), .cancelTimer, .becameReady(second)])
    #expect(machine.connected(first, now: t0) == [.abandon(first)])
    #expect(machine.connectFailed(first, failure(a), now: t0) == [])
    #expect(machine.connectivity == .ready)
    #expect(machine.pick { _ in 0 } == second)
  }

  @Test("a first full pass that fails asks for new addresses, fails waiting calls, and stays failing (W51–W53)")
  func transientFailure() throws {
    var (machine, first) = try dialling([a])
    var expected = failure(a)
    expected.attempt = 1
    #expect(
      machine.connectFailed(first, failure(a), now: t0 + .milliseconds(1))
        == [.failWaiting(expected), .resolve, .setTimer(t0 + .seconds(1))])
    #expect(machine.connectivity == .transientFailure(expected))
    #expect(machine.wake(now: t0) == [])

    let again = try #require(attempts(machine.timerFired(now: t0 + .seconds(1))).first).1
    #expect(machine.connectivity == .transientFailure(expected))
    _ = machine.connected(again, now: t0 + .seconds(1))
    #expect(machine.connectivity == .ready)
  }

  @Test("each address has its own backoff, counted from the start of its attempt (W50)")
  func perAddress() throws {
    var (machine, first) = try dialling([a, b])
    let second = try #require(attempts(machine.connectFailed(first, failure(a), now: t0 + .milliseconds(5))).first).1
    let ended = machine.connectFailed(second, failure(b), now: t0 + .milliseconds(900))
    #expect(ended.contains(.setTimer(t0 + .seconds(1))))
    // b was started 5 ms after a, and its time has not come.
    #expect(attempts(machine.timerFired(now: t0 + .milliseconds(1003))).map(\.0) == [a])
  }

  @Test("backoff grows from pass to pass and is forgotten once the connection is usable (W50)")
  func growth() throws {
    var (machine, id) = try dialling([a])
    var now = t0
    for delay in [1_000, 1_600, 2_560] as [Int64] {
      let ended = machine.connectFailed(id, failure(a), now: now)
      #expect(ended.contains(.setTimer(now + .milliseconds(delay))))
      now = now + .milliseconds(delay)
      id = try #require(attempts(machine.timerFired(now: now)).first).1
    }
    _ = machine.connected(id, now: now)
    _ = machine.connectionEnded(id, now: now)
    id = try #require(attempts(machine.wake(now: now)).first).1
    #expect(machine.connectFailed(id, failure(a), now: now).contains(.setTimer(now + .seconds(1))))
  }

  @Test("a connection that ends leaves the channel idle until the next call, which dials what is known")
  func reconnect() throws {
    var (machine, id) = try dialling([a])
    _ = machine.connected(id, now: t0)
    #expect(machine.connectionEnded(id, now: t0) == [.resolve])
    #expect(machine.connectivity == .idle)
    #expect(machine.connectionEnded(id, now: t0) == [])
    #expect(attempts(machine.wake(now: t0)).map(\.0) == [a])
  }

  @Test("names that do not resolve fail the waiting calls; addresses that come later are dialled")
  func resolution() {
    var machine = machine()
    _ = machine.wake(now: t0)
    let failure = ConnectFailure(phase: .resolving, address: "nowhere", cause: "unknown name")
    #expect(machine.resolutionFailed(failure) == [.failWaiting(failure)])
    #expect(machine.connectivity == .transientFailure(failure))
    #expect(attempts(machine.addressesChanged([a], now: t0)).map(\.0) == [a])
  }

  @Test("a connection whose address is no longer among the target's is drained, and the next call goes elsewhere")
  func moved() throws {
    var (machine, id) = try dialling([a])
    _ = machine.connected(id, now: t0)
    #expect(machine.addressesChanged([a, b], now: t0) == [])
    #expect(machine.addressesChanged([b], now: t0) == [.drain(id)])
    #expect(machine.connectivity == .idle)
    #expect(attempts(machine.wake(now: t0)).map(\.0) == [b])
  }

  @Test("new addresses end the wait of a failed pass, and an attempt to an address that is gone")
  func newAddresses() throws {
    var (machine, first) = try dialling([a])
    #expect(machine.addressesChanged([a, b], now: t0) == [.setTimer(t0 + .milliseconds(250))])
    let changed = machine.addressesChanged([b], now: t0)
    #expect(changed.first == .abandon(first))
    let second = try #require(attempts(changed).first).1
    _ = machine.connectFailed(second, failure(b), now: t0)
    #expect(machine.addressesChanged([b], now: t0) == [.setTimer(t0 + .seconds(1))])
    #expect(attempts(machine.addressesChanged([b, a], now: t0)).map(\.0) == [a])
  }

  @Test("shutdown abandons what is under way and is final")
  func shutdown() throws {
    var (machine, id) = try dialling([a])
    #expect(machine.shutdown() == [.abandon(id), .cancelTimer])
    #expect(machine.connectivity == .shutdown)
    #expect(machine.wake(now: t0) == [])
    #expect(machine.connected(id, now: t0) == [.abandon(id)])
    #expect(machine.connectivity == .shutdown)
    #expect(machine.timerFired(now: t0) == [])
  }
}
