package import NIOCore

/// Which servers fail so much more of their calls than they may that they get none for a while. Pure: counts and the
/// time go in.
///
/// At the end of each interval, servers with enough calls of which too many failed are ejected, as long as not too many
/// are already; one that was ejected comes back after a time that grows with each ejection, and shrinks again while it
/// behaves. Every status but OK is a failure. Source: gRFC A50, failure percentage; the success rate is not built.
package struct OutlierDetection: Sendable {
  package struct Configuration: Sendable, Hashable {
    package var interval: TimeAmount = .seconds(10)
    package var baseEjectionTime: TimeAmount = .seconds(30)
    package var maxEjectionTime: TimeAmount = .seconds(300)
    /// When so many of the servers are ejected, no more are. Unless it is 0, one may always be.
    package var maxEjectionPercent = 10
    /// `nil`: nothing is ejected.
    package var failurePercentage: FailurePercentage?

    package init() {}
  }

  package struct FailurePercentage: Sendable, Hashable {
    /// A server of whose calls more than this percentage failed is an outlier.
    package var threshold = 85
    /// How often an outlier is ejected, in percent.
    package var enforcementPercentage = 100
    /// Servers with enough calls that there must be before any is judged.
    package var minimumHosts = 5
    /// Calls in the interval that a server needs to be judged.
    package var requestVolume = 50

    package init() {}
  }

  /// What is known of one server.
  package struct Host: Sendable, Hashable {
    fileprivate var successes = 0
    fileprivate var failures = 0
    fileprivate var multiplier: Int64 = 0
    fileprivate var ejectedAt: NIODeadline?

    package init() {}

    package var isEjected: Bool { ejectedAt != nil }

    package mutating func record(succeeded: Bool) {
      if succeeded { successes += 1 } else { failures += 1 }
    }
  }

  private let configuration: Configuration
  /// When the interval ends; `nil` before the first begins.
  package private(set) var nextSweep: NIODeadline?

  package init(_ configuration: Configuration) { self.configuration = configuration }

  /// The first interval begins.
  package mutating func start(now: NIODeadline) {
    if nextSweep == nil { nextSweep = now + configuration.interval }
  }

  /// Judges the interval that ends, if it does, and begins the next.
  ///
  /// - Returns: the indices of servers that are ejected now or are back.
  package mutating func sweep(
    _ hosts: inout [Host], now: NIODeadline, using generator: inout some RandomNumberGenerator
  ) -> [Int] {
    guard let due = nextSweep, due <= now else { return [] }
    nextSweep = now + configuration.interval
    let before = hosts.map(\.isEjected)
    if let rule = configuration.failurePercentage { eject(&hosts, by: rule, now: now, using: &generator) }
    for index in hosts.indices {
      hosts[index].successes = 0
      hosts[index].failures = 0
      if let since = hosts[index].ejectedAt {
        if since + ejectionTime(hosts[index].multiplier) <= now { hosts[index].ejectedAt = nil }
      } else if hosts[index].multiplier > 0 {
        hosts[index].multiplier -= 1
      }
    }
    return hosts.indices.filter { hosts[$0].isEjected != before[$0] }
  }

  private func eject(
    _ hosts: inout [Host], by rule: FailurePercentage, now: NIODeadline,
    using generator: inout some RandomNumberGenerator
  ) {
    let judged = hosts.indices.filter { hosts[$0].successes + hosts[$0].failures >= max(rule.requestVolume, 1) }
    guard judged.count >= rule.minimumHosts else { return }
    for index in judged where !hosts[index].isEjected {
      let ejected = hosts.count(where: \.isEjected)
      guard ejected * 100 < configuration.maxEjectionPercent * hosts.count else { return }
      let calls = hosts[index].successes + hosts[index].failures
      guard hosts[index].failures * 100 > rule.threshold * calls,
        Int.random(in: 0..<100, using: &generator) < rule.enforcementPercentage
      else { continue }
      hosts[index].ejectedAt = now
      hosts[index].multiplier += 1
    }
  }

  private func ejectionTime(_ multiplier: Int64) -> TimeAmount {
    let longest = max(configuration.baseEjectionTime, configuration.maxEjectionTime)
    let (grown, overflows) = configuration.baseEjectionTime.nanoseconds.multipliedReportingOverflow(by: multiplier)
    return overflows ? longest : min(.nanoseconds(grown), longest)
  }
}
