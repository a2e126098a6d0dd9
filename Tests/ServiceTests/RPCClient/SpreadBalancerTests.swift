import NIOCore
import RPCClient
import Testing

@Suite struct SpreadBalancerTests {
  private let t0 = NIODeadline.uptimeNanoseconds(1_000_000_000)
  private let a = Endpoint.ipv4(host: "127.0.0.1", port: 1)
  private let b = Endpoint.ipv4(host: "127.0.0.2", port: 2)
  private let c = Endpoint.ipv4(host: "127.0.0.3", port: 3)

  private func failure(_ endpoint: Endpoint) -> ConnectFailure {
    ConnectFailure(phase: .connecting, address: endpoint.description, cause: "refused")
  }

  private func attempts(_ actions: [BalancerAction]) -> [Endpoint: ConnectionID] {
    var found: [Endpoint: ConnectionID] = [:]
    for case .connect(let endpoint, let id, _) in actions { found[endpoint] = id }
    return found
  }

  /// A machine that dials all of `endpoints`. Without jitter, so that times are exact.
  private func dialling(
    _ endpoints: [Endpoint], _ choice: SpreadBalancer.Choice = .roundRobin, checksHealth: Bool = false
  ) -> (SpreadBalancer, [Endpoint: ConnectionID]) {
    var machine = SpreadBalancer(choice, checksHealth: checksHealth, policy: .init(jitter: 0), seed: 1)
    #expect(machine.wake(now: t0) == [.resolve])
    let actions = machine.addressesChanged(endpoints, now: t0)
    return (machine, attempts(actions))
  }

  private func ready(
    _ endpoints: [Endpoint], _ choice: SpreadBalancer.Choice = .roundRobin
  ) -> (SpreadBalancer, [Endpoint: ConnectionID]) {
    var (machine, ids) = dialling(endpoints, choice)
    for id in ids.values { #expect(machine.connected(id, now: t0) == [.becameReady(id)]) }
    return (machine, ids)
  }

  @Test("every address is dialled once, and calls go to the ready ones in turn")
  func roundRobin() throws {
    var (machine, ids) = dialling([a, b, c, a])
    #expect(ids.count == 3)
    for endpoint in [a, b] { _ = machine.connected(try #require(ids[endpoint]), now: t0) }
    let picks = (0..<6).map { _ in machine.pick { _ in 0 } }
    #expect(Set(picks) == [ids[a], ids[b]])
    for index in 2..<6 { #expect(picks[index] == picks[index - 2]) }
  }

  @Test("each of the ready connections has its turn before any has its next")
  func fairTurns() throws {
    var (machine, ids) = ready([a, b, c])
    for _ in 0..<5 { #expect(Set((0..<3).map { _ in machine.pick { _ in 0 } }) == Set(ids.values.map(Optional.some))) }
  }

  @Test("many clients of a service do not all begin with the same server")
  func firstTurn() throws {
    var first: Set<ConnectionID?> = []
    for seed in 0..<50 as Range<UInt64> {
      var machine = SpreadBalancer(.roundRobin, policy: .init(jitter: 0), seed: seed)
      _ = machine.wake(now: t0)
      for id in attempts(machine.addressesChanged([a, b, c], now: t0)).values { _ = machine.connected(id, now: t0) }
      first.insert(machine.pick { _ in 0 })
    }
    #expect(first.count == 3)
  }

  @Test("a connection without room is passed over; when none has room the call waits (W57)")
  func room() throws {
    var (machine, ids) = ready([a, b])
    for _ in 0..<4 { #expect(machine.pick { $0 == ids[a] ? nil : 3 } == ids[b]) }
    #expect(machine.pick { _ in nil } == nil)
  }

  @Test("least_request takes the less loaded of those that it draws", arguments: [UInt64(1), 2, 3])
  func leastRequest(seed: UInt64) throws {
    var (machine, ids) = ready([a, b], .leastRequest(choiceCount: 8))
    var toB = 0
    for _ in 0..<200 where machine.pick(load: { $0 == ids[a] ? 10 : 1 }) == ids[b] { toB += 1 }
    // With eight draws of two, missing the better one has a probability of 1/256 a pick.
    #expect(toB > 180)
    #expect(machine.pick { $0 == ids[a] ? nil : 7 } == ids[b])
  }

  @Test("the channel fails only when every address has failed, and then until one is ready (W52)")
  func transientFailure() throws {
    var (machine, ids) = dialling([a, b])
    let (first, second) = (try #require(ids[a]), try #require(ids[b]))
    #expect(
      !machine.connectFailed(first, failure(a), now: t0).contains { if case .failWaiting = $0 { true } else { false } })
    #expect(machine.connectivity == .connecting)
    var expected = failure(b)
    expected.attempt = 1
    #expect(machine.connectFailed(second, failure(b), now: t0).contains(.failWaiting(expected)))
    #expect(machine.connectivity == .transientFailure(expected))

    // Dialling again does not leave TRANSIENT_FAILURE.
    let again = attempts(machine.timerFired(now: t0 + .seconds(1)))
    #expect(again.count == 2)
    #expect(machine.connectivity == .transientFailure(expected))
    let third = try #require(again[a])
    #expect(machine.connected(third, now: t0 + .seconds(1)) == [.becameReady(third)])
    #expect(machine.connectivity == .ready)
  }

  @Test("each address has its own growing backoff, and a failure asks for new addresses (W50)")
  func backoff() throws {
    var (machine, ids) = ready([a, b])
    let lost = try #require(ids[a])
    // Lost long after it was made: dialled again at once.
    let again = machine.connectionEnded(lost, now: t0 + .seconds(30))
    #expect(again.contains(.resolve))
    var id = try #require(attempts(again)[a])
    var now = t0 + .seconds(30)
    for delay in [1_000, 1_600, 2_560] as [Int64] {
      let failed = machine.connectFailed(id, failure(a), now: now)
      #expect(failed.contains(.resolve))
      #expect(failed.contains(.setTimer(now + .milliseconds(delay))))
      now = now + .milliseconds(delay)
      id = try #require(attempts(machine.timerFired(now: now))[a])
    }
    #expect(machine.connectivity == .ready)
  }

  @Test("a server that accepts and hangs up is not dialled in a loop")
  func flapping() throws {
    var (machine, ids) = ready([a])
    let ended = machine.connectionEnded(try #require(ids[a]), now: t0 + .milliseconds(1))
    #expect(attempts(ended).isEmpty)
    #expect(ended.contains(.setTimer(t0 + .seconds(1))))
    #expect(machine.connectivity == .connecting)
  }

  @Test("addresses that leave are drained or given up, those that stay keep their connection, new ones are dialled")
  func addresses() throws {
    var (machine, ids) = dialling([a, b])
    let (first, second) = (try #require(ids[a]), try #require(ids[b]))
    _ = machine.connected(first, now: t0)
    let changed = machine.addressesChanged([a, c], now: t0)
    #expect(changed.first == .abandon(second))
    #expect(attempts(changed).keys.sorted { "\($0)" < "\($1)" } == [c])
    #expect(machine.addressesChanged([c], now: t0) == [.drain(first)])
    #expect(machine.pick { _ in 0 } == nil)
    #expect(machine.connectionEnded(first, now: t0) == [])
  }

  @Test("names that do not resolve fail calls only while there is no address")
  func resolution() {
    let failure = ConnectFailure(phase: .resolving, address: "nowhere", cause: "unknown name")
    var machine = SpreadBalancer(.roundRobin, seed: 1)
    _ = machine.wake(now: t0)
    #expect(machine.resolutionFailed(failure) == [.failWaiting(failure)])
    #expect(machine.connectivity == .transientFailure(failure))
    var (known, _) = ready([a])
    #expect(known.resolutionFailed(failure) == [])
    #expect(known.connectivity == .ready)
  }

  @Test("with health checking a connection is ready only while its server says that it serves (W59)")
  func health() throws {
    var (machine, ids) = dialling([a], checksHealth: true)
    let id = try #require(ids[a])
    #expect(machine.connected(id, now: t0) == [])
    #expect(machine.connectivity == .connecting)
    #expect(machine.pick { _ in 0 } == nil)
    #expect(machine.healthChanged(id, nil, now: t0) == [.becameReady(id)])
    #expect(machine.pick { _ in 0 } == id)

    let sick = ConnectFailure(phase: .health, address: "\(a)", cause: "NOT_SERVING")
    #expect(machine.healthChanged(id, sick, now: t0) == [.failWaiting(sick)])
    #expect(machine.connectivity == .transientFailure(sick))
    #expect(machine.pick { _ in 0 } == nil)
    #expect(machine.healthChanged(id, nil, now: t0) == [.becameReady(id)])
  }

  @Test("shutdown drains and abandons everything, and is final")
  func shutdown() throws {
    var (machine, ids) = dialling([a, b])
    _ = machine.connected(try #require(ids[a]), now: t0)
    let actions = machine.shutdown()
    #expect(actions.contains(.drain(try #require(ids[a]))))
    #expect(actions.contains(.abandon(try #require(ids[b]))))
    #expect(machine.connectivity == .shutdown)
    #expect(machine.wake(now: t0) == [])
    #expect(machine.addressesChanged([a], now: t0) == [])
  }
}
