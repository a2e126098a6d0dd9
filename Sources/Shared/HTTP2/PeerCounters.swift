/// What budgets against a hostile peer are counted from (WIRE 3).
package struct PeerCounters: Sendable, Hashable {
  /// RST_STREAM received.
  package internal(set) var resets = 0
  /// Streams that we reset because the peer broke a rule ("MadeYouReset").
  package internal(set) var provokedResets = 0
  /// Streams refused for being over the limit.
  package internal(set) var refusedStreams = 0
  package internal(set) var pings = 0
  package internal(set) var settings = 0
  /// DATA frames with neither bytes nor END_STREAM.
  package internal(set) var emptyData = 0
  /// Header blocks over the limit of a header list (W16).
  package internal(set) var oversizedHeaders = 0

  package init() {}

  /// That it did not change says that there is nothing to look at.
  package var total: Int {
    resets + provokedResets + refusedStreams + pings + settings + emptyData + oversizedHeaders
  }
}
