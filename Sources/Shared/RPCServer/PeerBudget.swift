package import HTTP2
package import NIOCore
internal import Synchronization

/// Ends connections whose peer makes work without making calls. Pure: counters and the time in, a verdict out.
///
/// libnghttp2 answers floods of SETTINGS, of empty DATA frames and of provoked resets without end (WIRE 3); these are
/// the limits, per connection and window of time.
package struct PeerBudget: Sendable {
  package struct Configuration: Sendable {
    package var window: TimeAmount = .seconds(30)
    /// RST_STREAM frames. gRPC clients reset a stream for every deadline, cancellation and hedge: 10 000 at once and
    /// 1 000 a second are ordinary (WIRE 1.1).
    package var resets = 40_000
    /// Of these, such that ended a call whose handler had started (CVE-2023-44487, "rapid reset").
    package var startedResets = 20_000
    /// Resets on all connections together, beyond which each has a tenth of its own allowance only.
    package var resetsOfAllConnections = 400_000
    /// Streams that we reset because the peer broke a rule (CVE-2025-8671, "MadeYouReset").
    package var provokedResets = 100
    /// SETTINGS frames.
    package var settings = 100
    /// DATA frames with neither bytes nor END_STREAM (CVE-2019-9518).
    package var emptyData = 1_000
    /// PING frames, whatever the keepalive policy forgives between responses (CVE-2019-9512).
    package var pings = 10_000
    /// Streams refused for being over the limit.
    package var refusedStreams = 10_000
    /// Header blocks over the limit of a header list.
    package var oversizedHeaders = 1_000

    package init() {}
  }

  /// What a connection has counted since it began.
  package struct Counts: Sendable, Hashable {
    package var session = PeerCounters()
    package var startedResets = 0

    package init(session: PeerCounters = PeerCounters(), startedResets: Int = 0) {
      self.session = session
      self.startedResets = startedResets
    }
  }

  private let configuration: Configuration
  private let allConnections: ResetLedger
  private var windowEnd: NIODeadline
  private var atWindowStart = Counts()
  private var last = Counts()

  package init(_ configuration: Configuration, allConnections: ResetLedger, now: NIODeadline) {
    self.configuration = configuration
    self.allConnections = allConnections
    windowEnd = now + configuration.window
  }

  /// Whether there is anything new to ``check(_:now:)``.
  package func isUnchanged(_ counters: PeerCounters) -> Bool { counters.total == last.session.total }

  /// - Returns: what the peer has too many of in this window; `nil` when all is well.
  package mutating func check(_ counts: Counts, now: NIODeadline) -> ServerBudget? {
    let newResets = counts.session.resets - last.session.resets
    let areManyEverywhere =
      newResets > 0
      && allConnections.add(newResets, now: now, window: configuration.window) > configuration.resetsOfAllConnections
    if now >= windowEnd {
      windowEnd = now + configuration.window
      atWindowStart = last
    }
    last = counts
    func exceeds(_ count: KeyPath<Counts, Int>, _ limit: Int) -> Bool {
      counts[keyPath: count] - atWindowStart[keyPath: count] > limit
    }
    let share = areManyEverywhere ? 10 : 1
    if exceeds(\.startedResets, configuration.startedResets / share) { return .startedResets }
    if exceeds(\.session.resets, configuration.resets / share) { return .resets }
    if exceeds(\.session.provokedResets, configuration.provokedResets) { return .provokedResets }
    if exceeds(\.session.settings, configuration.settings) { return .settings }
    if exceeds(\.session.emptyData, configuration.emptyData) { return .emptyData }
    if exceeds(\.session.pings, configuration.pings) { return .pings }
    if exceeds(\.session.refusedStreams, configuration.refusedStreams) { return .refusedStreams }
    if exceeds(\.session.oversizedHeaders, configuration.oversizedHeaders) { return .oversizedHeaders }
    return nil
  }
}

/// Counts the resets that all connections of a server receive within a window of time.
package final class ResetLedger: Sendable {
  private let state = Mutex((windowEnd: NIODeadline.uptimeNanoseconds(0), count: 0))

  package init() {}

  /// - Returns: how many there are in this window, with these.
  func add(_ count: Int, now: NIODeadline, window: TimeAmount) -> Int {
    state.withLock { state in
      if now >= state.windowEnd { state = (now + window, 0) }
      state.count += count
      return state.count
    }
  }
}
