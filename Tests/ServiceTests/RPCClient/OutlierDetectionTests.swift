import NIOCore
import RPCClient
import Testing

/// What gRFC A50 says of the failure percentage. Rules without chance, but for one test.
@Suite struct OutlierDetectionTests {
  private let t0 = NIODeadline.uptimeNanoseconds(1_000_000_000)
  private var generator = SeededGenerator(seed: 1)

  private static func configuration(
    percent: Int = 100, _ change: (inout OutlierDetection.FailurePercentage) -> Void = { _ in }
  ) -> OutlierDetection.Configuration {
    var rule = OutlierDetection.FailurePercentage()
    rule.minimumHosts = 1
    rule.requestVolume = 100
    change(&rule)
    var configuration = OutlierDetection.Configuration()
    configuration.maxEjectionPercent = percent
    configuration.failurePercentage = rule
    return configuration
  }

  private static func record(_ failures: Int, of calls: Int, on host: inout OutlierDetection.Host) {
    for index in 0..<calls { host.record(succeeded: index >= failures) }
  }

  /// Who is ejected after one interval in which of so many calls so many failed.
  private mutating func ejected(_ configuration: OutlierDetection.Configuration, _ load: [(Int, of: Int)]) -> [Bool] {
    var detection = OutlierDetection(configuration)
    detection.start(now: t0)
    var hosts = Array(repeating: OutlierDetection.Host(), count: load.count)
    for (index, (failures, calls)) in load.enumerated() { Self.record(failures, of: calls, on: &hosts[index]) }
    _ = detection.sweep(&hosts, now: t0 + .seconds(10), using: &generator)
    return hosts.map(\.isEjected)
  }

  @Test("a server is an outlier when more of its calls fail than the threshold")
  mutating func threshold() {
    let result = ejected(Self.configuration(), [(85, of: 100), (86, of: 100), (100, of: 100)])
    #expect(result == [false, true, true])
  }

  @Test("a server with too few calls is not judged")
  mutating func volume() {
    let result = ejected(Self.configuration(), [(99, of: 99), (100, of: 100)])
    #expect(result == [false, true])
  }

  @Test("nobody is judged while too few servers have enough calls", arguments: [(2, true), (3, false)])
  mutating func minimumHosts(minimum: Int, isEjected: Bool) {
    let rule = Self.configuration { $0.minimumHosts = minimum }
    let result = ejected(rule, [(100, of: 100), (0, of: 100), (0, of: 99)])
    #expect(result == [isEjected, false, false])
  }

  @Test("no more are ejected once so many percent are", arguments: [(0, 0), (10, 1), (50, 5), (51, 6), (100, 10)])
  mutating func share(percent: Int, count: Int) {
    let result = ejected(Self.configuration(percent: percent), Array(repeating: (100, of: 100), count: 10))
    #expect(result.count(where: \.self) == count)
  }

  @Test(
    "an outlier is ejected as often as enforcement says", arguments: [(0, 0...0), (50, 400...600), (100, 1000...1000)])
  mutating func enforcement(percent: Int, count: ClosedRange<Int>) {
    let rule = Self.configuration { $0.enforcementPercentage = percent }
    let result = ejected(rule, Array(repeating: (100, of: 100), count: 1000))
    #expect(count.contains(result.count(where: \.self)))
  }

  @Test("without the rule nobody is ejected")
  mutating func none() {
    let result = ejected(OutlierDetection.Configuration(), [(100, of: 100)])
    #expect(result == [false])
  }

  @Test("each interval is judged by its own calls, and not before its end")
  mutating func intervals() {
    var detection = OutlierDetection(Self.configuration())
    detection.start(now: t0)
    var hosts = [OutlierDetection.Host()]
    Self.record(100, of: 600, on: &hosts[0])
    #expect(detection.sweep(&hosts, now: t0 + .seconds(10), using: &generator) == [])
    Self.record(100, of: 100, on: &hosts[0])
    #expect(detection.sweep(&hosts, now: t0 + .milliseconds(19_999), using: &generator) == [])
    #expect(detection.sweep(&hosts, now: t0 + .seconds(20), using: &generator) == [0])
  }

  @Test("ejections grow by the base time up to the longest, and shrink with each interval of good behaviour")
  func duration() {
    var detection = OutlierDetection(Self.configuration())
    var generator = SeededGenerator(seed: 1)
    detection.start(now: t0)
    var hosts = [OutlierDetection.Host()]
    var now = t0
    /// Seconds until the server is back, in intervals of ten.
    func ejection() -> Int {
      Self.record(100, of: 100, on: &hosts[0])
      now = now + .seconds(10)
      #expect(detection.sweep(&hosts, now: now, using: &generator) == [0])
      for count in 1...100 {
        now = now + .seconds(10)
        if detection.sweep(&hosts, now: now, using: &generator) == [0] { return count * 10 }
      }
      return 0
    }
    let times = (0..<12).map { _ in ejection() }
    #expect(times == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
    for _ in 0..<11 {
      now = now + .seconds(10)
      _ = detection.sweep(&hosts, now: now, using: &generator)
    }
    #expect(ejection() == 60)
  }

  // MARK: In the balancer

  private let a = Endpoint.ipv4(host: "127.0.0.1", port: 1)
  private let b = Endpoint.ipv4(host: "127.0.0.2", port: 2)

  /// Both servers ready; then the calls of `failing` fail for an interval.
  private func balancer(
    failing: [Endpoint], _ choice: SpreadBalancer.Choice = .roundRobin
  ) throws -> (SpreadBalancer, [Endpoint: ConnectionID], [BalancerAction]) {
    var machine = SpreadBalancer(choice, outliers: Self.configuration(), policy: .init(jitter: 0), seed: 1)
    _ = machine.wake(now: t0)
    var ids: [Endpoint: ConnectionID] = [:]
    for case .connect(let endpoint, let id, _) in machine.addressesChanged([a, b], now: t0) { ids[endpoint] = id }
    for id in ids.values { _ = machine.connected(id, now: t0) }
    for (endpoint, id) in ids {
      for _ in 0..<100 { machine.attemptEnded(id, succeeded: !failing.contains(endpoint)) }
    }
    let actions = machine.timerFired(now: t0 + .seconds(10))
    return (machine, ids, actions)
  }

  @Test(
    "an ejected server gets no calls and keeps its connection, until it is back",
    arguments: [SpreadBalancer.Choice.roundRobin, .leastRequest(choiceCount: 2)])
  func ejection(choice: SpreadBalancer.Choice) throws {
    var (machine, ids, actions) = try balancer(failing: [a], choice)
    #expect(actions == [.ejected(a, true), .setTimer(t0 + .seconds(20))])
    #expect(Set((0..<20).map { _ in machine.pick { _ in 0 } }) == [ids[b]])
    #expect(machine.connectivity == .ready)
    #expect(machine.timerFired(now: t0 + .seconds(20)) == [.setTimer(t0 + .seconds(30))])
    _ = machine.timerFired(now: t0 + .seconds(30))
    let back = machine.timerFired(now: t0 + .seconds(40))
    #expect(back == [.ejected(a, false), .becameReady(try #require(ids[a])), .setTimer(t0 + .seconds(50))])
    #expect(Set((0..<20).map { _ in machine.pick { _ in 0 } }) == [ids[a], ids[b]])
  }

  @Test("a new connection to an ejected server does not end its ejection")
  func reconnected() throws {
    var (machine, ids, _) = try balancer(failing: [a])
    let ended = machine.connectionEnded(try #require(ids[a]), now: t0 + .seconds(11))
    var again: ConnectionID?
    for case .connect(_, let id, _) in ended { again = id }
    #expect(machine.connected(try #require(again), now: t0 + .seconds(11)) == [])
    #expect(Set((0..<20).map { _ in machine.pick { _ in 0 } }) == [ids[b]])
  }

  @Test("when all are ejected calls fail at once and are told why")
  func all() throws {
    var (machine, _, actions) = try balancer(failing: [a, b])
    #expect(actions.contains { if case .failWaiting(let failure) = $0 { failure.phase == .outlier } else { false } })
    #expect(machine.pick { _ in 0 } == nil)
    guard case .transientFailure(let failure) = machine.connectivity else {
      Issue.record("not in TRANSIENT_FAILURE")
      return
    }
    #expect("\(failure)".contains("outlier detection"))
  }
}
