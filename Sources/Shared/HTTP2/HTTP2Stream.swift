package import NIOCore
internal import RPC

/// One stream of a session: its two byte buffers and what the driver hangs on it.
///
/// Records are pooled: after the ``HTTP2Event/closed(_:reset:)`` event the record serves another stream. Whoever keeps
/// a reference beyond that compares ``id`` with the number it remembers. Confined to its session.
// Why @exclusivity(unchecked): see HTTP2Session.
package final class HTTP2Stream {
  /// 0 when the record serves no stream.
  @safe @exclusivity(unchecked) package internal(set) var id: Int32 = 0

  /// Bytes that arrived and that the driver has not taken. Take them, then ``HTTP2Session/consume(_:on:)`` their number,
  /// or the peer's window stays shut.
  @safe @exclusivity(unchecked) package var inbound = ByteBuffer()

  /// Bytes that arrived and were not yet given to ``HTTP2Session/consume(_:on:)``.
  @safe @exclusivity(unchecked) package internal(set) var unconsumedBytes = 0

  /// Bytes to send. Append, then ``HTTP2Session/resume(_:)``.
  @safe @exclusivity(unchecked) package var outbound = ByteBuffer()

  /// What the driver associates with the stream. Cleared when the record is pooled.
  @safe @exclusivity(unchecked) package var context: AnyObject?

  /// The peer's side has ended in order (END_STREAM).
  @safe @exclusivity(unchecked) package internal(set) var isRemoteClosed = false
  /// Our side has ended: END_STREAM was sent, or is the next thing to be sent.
  @safe @exclusivity(unchecked) package internal(set) var isLocalClosed = false

  /// Client: the request's HEADERS went out; before, it is certain that the server knows nothing of the call.
  @safe @exclusivity(unchecked) package internal(set) var hasSentHeaders = false
  /// Over, in order or by reset, though the driver may not have come to that event yet.
  package var isOver: Bool { slot < 0 }

  // What follows is the session's.

  /// Index in the session's list of live streams.
  @safe @exclusivity(unchecked) var slot = -1
  @safe @exclusivity(unchecked) var hasReceivedHeaders = false
  /// Refused on arrival: no event tells of it.
  @safe @exclusivity(unchecked) var isRefused = false
  /// The data provider found nothing to send; `resume` wakes it.
  @safe @exclusivity(unchecked) var isDeferred = false
  /// Outbound bytes are complete; what ends the stream is in `ending`.
  @safe @exclusivity(unchecked) var ending: Ending = .open
  @safe @exclusivity(unchecked) var isAboveWatermark = false
  @safe @exclusivity(unchecked) var resetByPeer = false
  @safe @exclusivity(unchecked) var resetByUs = false
  /// Of ``outbound``, the bytes that are in ``HTTP2Session/bufferedBytes``.
  @safe @exclusivity(unchecked) var accountedBytes = 0
  /// Bytes sent since a look for stalled streams found some waiting; `nil` when none have waited since.
  @safe @exclusivity(unchecked) var sentSinceMark: Int?
  /// A request whose HEADERS could not go out.
  @safe @exclusivity(unchecked) var wasNeverSent = false

  enum Ending {
    case open
    /// END_STREAM on the last DATA (a request).
    case data
    /// A trailing HEADERS block (a response).
    case trailers(FixedHeaders?, HeaderFields?)
  }

  init() {}

  /// Bytes beyond which a pooled record does not keep a buffer.
  private static let largestPooledBuffer = 64 * 1024

  func prepareForPool() {
    id = 0
    context = nil
    unconsumedBytes = 0
    slot = -1
    isRemoteClosed = false
    isLocalClosed = false
    hasReceivedHeaders = false
    isRefused = false
    isDeferred = false
    isAboveWatermark = false
    resetByPeer = false
    resetByUs = false
    wasNeverSent = false
    hasSentHeaders = false
    accountedBytes = 0
    sentSinceMark = nil
    ending = .open
    if inbound.capacity > Self.largestPooledBuffer { inbound = ByteBuffer() } else { inbound.clear() }
    if outbound.capacity > Self.largestPooledBuffer { outbound = ByteBuffer() } else { outbound.clear() }
  }
}
