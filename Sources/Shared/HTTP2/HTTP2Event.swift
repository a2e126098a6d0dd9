package import RPC

/// What a peer did, in the order it did it. Handled by the driver after ``HTTP2Session/receive(_:)`` returned.
package enum HTTP2Event {
  /// Server: a request's headers. Client: a response's headers (1xx and 200 alike; the reader skips 1xx, W34).
  ///
  /// Hand the block back with ``HTTP2Session/recycle(_:)`` once read.
  case headers(HTTP2Stream, HeaderFields, endStream: Bool)
  /// A second block on a stream, always the last thing on it: trailers. (Server: request trailers.)
  case trailers(HTTP2Stream, HeaderFields)
  /// Bytes were appended to ``HTTP2Stream/inbound``.
  case data(HTTP2Stream, endStream: Bool)
  /// ``HTTP2Stream/outbound`` fell to ``HTTP2Session/Configuration/outboundLowWatermark`` after having been above it.
  case writable(HTTP2Stream)
  /// The stream is over, in order or by reset; ``HTTP2Stream/id`` is 0 from the moment the event was handled.
  ///
  /// `reset` is nil when both sides ended it in order; otherwise the code and who sent it.
  case closed(HTTP2Stream, reset: StreamReset?)
  /// The peer's SETTINGS arrived: a client may trust ``HTTP2Session/peerMaxConcurrentStreams`` (W50: the connection is
  /// ready).
  case settings
  /// The peer acknowledged our SETTINGS.
  case settingsAcknowledged
  /// A PING of the peer; its answer is queued already (W46).
  case ping
  case pingAcknowledged(UInt64)
  /// GOAWAY of the peer. Streams of ours above `lastStreamID` never ran and close with REFUSED_STREAM, not by the peer.
  case goAway(lastStreamID: Int32, code: HTTP2ErrorCode, debugData: String)
}

package struct StreamReset: Sendable, Hashable {
  package var code: HTTP2ErrorCode
  /// False when our side sent the reset, or the library did because the peer broke a rule.
  package var byPeer: Bool
  /// A request whose HEADERS could not go out any more: it is certain that nobody saw it.
  package var wasNeverSent: Bool

  package init(code: HTTP2ErrorCode, byPeer: Bool, wasNeverSent: Bool = false) {
    self.code = code
    self.byPeer = byPeer
    self.wasNeverSent = wasNeverSent
  }
}
