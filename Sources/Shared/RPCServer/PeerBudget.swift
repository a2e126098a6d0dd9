internal import HTTP2
package import NIOCore

/// Ends connections whose peer makes work without making calls. Pure: counters and the time in, a verdict out.
///
/// libnghttp2 answers floods of SETTINGS, of empty DATA frames and of provoked resets without end (WIRE 3); these are
/// the limits, per connection and window of time.
package struct PeerBudget: Sendable {
  package struct Configuration: Sendable {
    package var window: TimeAmount = .seconds(30)
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

    package init() {}
  }

  private let configuration: Configuration
  private var windowEnd: NIODeadline
  private var atWindowStart: Counts

  /// What a session has counted since it began.
  package struct Counts: Sendable, Hashable {
    package var provokedResets = 0
    package var settings = 0
    package var emptyData = 0
    package var pings = 0
    package var refusedStreams = 0

    package init() {}
  }

  package init(_ configuration: Configuration, now: NIODeadline) {
    self.configuration = configuration
    windowEnd = now + configuration.window
    atWindowStart = Counts()
  }

  /// - Returns: what the peer has too many of in this window, for the GOAWAY's debug data; `nil` when all is well.
  package mutating func check(_ counts: Counts, now: NIODeadline) -> String? {
    if now >= windowEnd {
      windowEnd = now + configuration.window
      atWindowStart = counts
      return nil
    }
    let start = atWindowStart
    if counts.provokedResets - start.provokedResets > configuration.provokedResets { return "too_many_provoked_resets" }
    if counts.settings - start.settings > configuration.settings { return "too_many_settings" }
    if counts.emptyData - start.emptyData > configuration.emptyData { return "too_many_empty_data_frames" }
    if counts.pings - start.pings > configuration.pings { return "too_many_pings" }
    if counts.refusedStreams - start.refusedStreams > configuration.refusedStreams { return "too_many_refused_streams" }
    return nil
  }
}

extension PeerBudget.Counts {
  init(_ counters: PeerCounters) {
    self.init()
    provokedResets = counters.provokedResets
    settings = counters.settings
    emptyData = counters.emptyData
    pings = counters.pings
    refusedStreams = counters.refusedStreams
  }
}
