internal import CNGHTTP2
package import NIOCore
package import RPC

/// The HTTP/2 protocol of one connection, over libnghttp2: bytes in give events, actions give bytes out.
///
/// Owns no socket, clock or thread, and is confined to whoever owns it (not `Sendable`). The cycle of a driver:
///
/// 1. ``receive(_:)`` with what the socket gave,
/// 2. ``nextEvent()`` until `nil`, acting on each (any action below is allowed here, none inside `receive`),
/// 3. ``produce(into:limit:)`` and write the result: once per read or tick, not per frame.
///
/// Flow control: the connection's window is credited as bytes arrive, so abandoned bytes never clog it; a stream's
/// window only as its bytes are taken (``consume(_:on:)``), which is the backpressure on the peer.
// Why @safe: every C pointer stays in this module; nghttp2 calls back only inside receive and produce, on the caller's
// stack, and is given no pointer that outlives this object.
// Why @exclusivity(unchecked): confined to one loop, and every access is short; the checks at run time are a quarter of
// what a unary call costs (deploy/bench).
@safe package final class HTTP2Session {
  package enum Role: Sendable { case client, server }

  package struct Configuration: Sendable {
    /// What the peer may have open at once. Advertised; streams above it are refused one by one (REFUSED_STREAM).
    package var maxConcurrentStreams: UInt32 = 100
    /// Limit on one received header block as Σ(name + value + 32); beyond it ``HeaderFields/isOverLimit`` is set (W16).
    package var maxHeaderListSize = 8 * 1024
    /// Bytes a stream may have in flight towards us before it waits for ``HTTP2Session/consume(_:on:)``.
    package var streamWindow: Int32 = 256 * 1024
    /// The same for the connection.
    package var connectionWindow: Int32 = 1024 * 1024
    /// Outbound bytes of a stream at which ``HTTP2Session/isOutboundFull(_:)`` says so.
    package var outboundHighWatermark = 64 * 1024
    /// Outbound bytes of a stream at which ``HTTP2Event/writable(_:)`` follows.
    package var outboundLowWatermark = 16 * 1024
    /// Resets that the library lets a peer send: a burst, then so many per second. Its own 1000/33 cuts off busy gRPC
    /// clients, which reset a stream for every deadline and cancellation (WIRE 1.1). A server counts for itself.
    package var resetBurst: UInt64 = 100_000
    package var resetsPerSecond: UInt64 = 10_000
    /// CONTINUATION frames of one header block; more end the connection (CVE-2024-28182).
    package var maxContinuations = 8
    /// What one header block may come to, decoded, before the connection is given up. Far above
    /// ``maxHeaderListSize``, which only costs the stream: a few kilobytes can name megabytes ("HPACK bomb").
    package var maxDecodedHeaders = 1024 * 1024

    package init() {}
  }

  /// What the library sends as one header block, as Σ(name + value + 32), with room for the fixed fields. It resets the
  /// stream of a larger one (NGHTTP2_MAX_HEADERSLEN).
  package static let maxSentHeaderList = 60 * 1024

  package let role: Role
  package let configuration: Configuration
  /// What the library last complained about; for logs and for the text of an error.
  @safe @exclusivity(unchecked) package internal(set) var diagnostic = ""
  /// How often the peer did what costs us work without being a call. Never reset by the session.
  @safe @exclusivity(unchecked) package internal(set) var counters = PeerCounters()
  /// Set whenever HEADERS or DATA went out; the driver clears it (ping strikes start anew then, W48).
  @safe @exclusivity(unchecked) package var hasSentHeadersOrData = false
  /// Streams that are neither closed nor refused.
  @safe @exclusivity(unchecked) package private(set) var liveStreams: [HTTP2Stream] = []
  /// Bytes in the outbound buffers of all streams: what waits for the peer's windows, or for the socket.
  @safe @exclusivity(unchecked) package internal(set) var bufferedBytes = 0
  /// The number of the header block that is being received, or `nil` between blocks.
  package var openHeaderBlock: Int? { blockStream == nil ? nil : blockNumber }
  /// The highest stream of the peer that was accepted.
  @safe @exclusivity(unchecked) package internal(set) var lastPeerStreamID: Int32 = 0

  let session: OpaquePointer
  @safe @exclusivity(unchecked) private var queue: [HTTP2Event] = []
  @safe @exclusivity(unchecked) private var queueHead = 0
  @safe @exclusivity(unchecked) private var retired: HTTP2Stream?
  @safe @exclusivity(unchecked) private var pool: [HTTP2Stream] = []
  @safe @exclusivity(unchecked) private var spareBlocks: [HeaderFields] = []
  @safe @exclusivity(unchecked) private var mustPatchSettings: Bool

  /// The block being received and the stream it belongs to; header blocks never interleave on a connection.
  @safe @exclusivity(unchecked) var block = HeaderFields()
  @safe @exclusivity(unchecked) var blockStream: HTTP2Stream?
  @safe @exclusivity(unchecked) private var blockNumber = 0
  /// Σ(name + value + 32) of what was not kept of the block.
  @safe @exclusivity(unchecked) var skippedSize = 0

  package init(role: Role, configuration: Configuration = Configuration()) {
    self.role = role
    self.configuration = configuration
    self.mustPatchSettings = role == .server
    unsafe self.session = Self.makeSession(role, configuration)
    unsafe nghttp2_session_set_user_data(session, Unmanaged.passUnretained(self).toOpaque())
    submitPreface()
  }

  deinit {
    unsafe nghttp2_session_del(session)
  }

  // MARK: Bytes in, events

  /// Feeds bytes of the peer.
  ///
  /// - Throws: ``HTTP2SessionError`` when the session is beyond repair; send what ``produce(into:limit:)`` still gives
  ///   (a GOAWAY perhaps), then close the connection at once.
  package func receive(_ bytes: UnsafeRawBufferPointer) throws(HTTP2SessionError) {
    let count = unsafe nghttp2_session_mem_recv(
      session, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
    if count < 0 { throw failure(Int32(truncatingIfNeeded: count)) }
  }

  /// The next thing that happened, or `nil` when all was told.
  package func nextEvent() -> HTTP2Event? {
    if let stream = retired {
      retired = nil
      recycle(stream)
    }
    guard queueHead < queue.count else {
      if queueHead > 0 {
        queue.removeAll(keepingCapacity: queue.count <= 256)
        queueHead = 0
      }
      return nil
    }
    // Moved out, so that the block that comes with it has one owner and its storage can be used again.
    var event = HTTP2Event.settings
    swap(&event, &queue[queueHead])
    queueHead += 1
    if case .closed(let stream, _) = event { retired = stream }
    return event
  }

  /// Gives back a block that came with an event, so that its storage serves another.
  package func recycle(_ fields: consuming HeaderFields) {
    guard spareBlocks.count < Self.maxSpareBlocks, fields.bytes.capacity <= 16 * 1024 else { return }
    fields.removeAll()
    spareBlocks.append(fields)
  }

  // MARK: Bytes out

  /// Appends what is to be sent, until about `limit` bytes are in the buffer.
  ///
  /// - Returns: whether there may be more.
  /// - Throws: ``HTTP2SessionError`` when the session is beyond repair.
  package func produce(into buffer: inout ByteBuffer, limit: Int = .max) throws(HTTP2SessionError) -> Bool {
    var data: UnsafePointer<UInt8>?
    while buffer.readableBytes < limit {
      // Many frames in one access to the buffer; one that does not fit any more is appended by itself.
      var rest = 0
      var isDrained = false
      var failure: Int32 = 0
      let position = buffer.writerIndex
      unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.frameRoom) { room in
        guard let start = room.baseAddress else { return 0 }
        var written = 0
        while written < limit {
          let count = unsafe nghttp2_session_mem_send(session, &data)
          guard count > 0, let frames = unsafe data else {
            failure = count < 0 ? Int32(truncatingIfNeeded: count) : 0
            isDrained = true
            break
          }
          guard count <= room.count - written else {
            rest = count
            break
          }
          unsafe (start + written).copyMemory(from: frames, byteCount: count)
          written += count
        }
        return written
      }
      if failure < 0 { throw self.failure(failure) }
      if rest > 0, let start = unsafe data {
        unsafe buffer.writeBytes(UnsafeRawBufferPointer(start: start, count: rest))
      }
      if mustPatchSettings { patchSettings(in: &buffer, at: position) }
      if isDrained { return false }
    }
    return true
  }

  /// As many blocks arrive in one read of a busy connection before the first is handled.
  private static let maxSpareBlocks = 16

  /// More than what the library gives at once for a call: its headers, message and trailers.
  private static let frameRoom = 4096

  package var wantsRead: Bool { unsafe nghttp2_session_want_read(session) != 0 }
  package var wantsWrite: Bool { unsafe nghttp2_session_want_write(session) != 0 }
  /// Frames that wait to be sent, DATA of open streams aside.
  package var unsentFrames: Int { unsafe nghttp2_session_get_outbound_queue_size(session) }
  /// Everything is said on both sides, or the session broke: the connection can be closed.
  package var isFinished: Bool { !wantsRead && !wantsWrite }

  /// The first SETTINGS tells the peer our own limit, while the library is given a far higher one: to it, a stream
  /// over an acknowledged limit is an error of the whole connection (WIRE 1.1c); to us, of that stream.
  private func patchSettings(in buffer: inout ByteBuffer, at position: Int) {
    let settingsFrame: UInt8 = 4
    guard buffer.getInteger(at: position + 3, as: UInt8.self) == settingsFrame else { return }
    mustPatchSettings = false
    buffer.setInteger(configuration.maxConcurrentStreams, at: position + 11)
  }
}

// MARK: - Streams and events, for the callbacks

extension HTTP2Session {
  func append(_ event: HTTP2Event) { queue.append(event) }

  /// A record for a stream, which the library knows from now on.
  func makeStream(_ id: Int32) -> HTTP2Stream {
    let stream = pool.popLast() ?? HTTP2Stream()
    stream.id = id
    stream.slot = liveStreams.count
    liveStreams.append(stream)
    return stream
  }

  /// Takes a closed stream out of the list. Its record stays valid until its last event was handled.
  func forget(_ stream: HTTP2Stream) {
    guard stream.slot >= 0 else { return }
    let last = liveStreams.removeLast()
    if last !== stream {
      liveStreams[stream.slot] = last
      last.slot = stream.slot
    }
    stream.slot = -1
    bufferedBytes -= stream.accountedBytes
    stream.accountedBytes = 0
  }

  /// The stream's outbound buffer grew or shrank.
  func account(_ stream: HTTP2Stream) {
    guard stream.slot >= 0 else { return }
    let bytes = stream.outbound.readableBytes
    bufferedBytes += bytes - stream.accountedBytes
    stream.accountedBytes = bytes
  }

  /// Streams whose bytes have waited since this was last asked without `minBytes` of them being sent.
  package func stalledStreams(minBytes: Int) -> [HTTP2Stream] {
    liveStreams.filter { stream in
      guard stream.outbound.readableBytes > 0 else { return false }
      defer { stream.sentSinceMark = 0 }
      return stream.sentSinceMark.map { $0 < minBytes } ?? false
    }
  }

  func recycle(_ stream: HTTP2Stream) {
    stream.prepareForPool()
    if pool.count < 16 { pool.append(stream) }
  }

  func beginBlock(for stream: HTTP2Stream?) {
    blockStream = stream
    blockNumber &+= 1
    skippedSize = 0
    block.removeAll()
  }

  func takeBlock() -> HeaderFields {
    blockStream = nil
    let taken = block
    block = spareBlocks.popLast() ?? HeaderFields(reservingFields: 12, bytes: 320)
    return taken
  }

  func failure(_ code: Int32) -> HTTP2SessionError {
    let text = unsafe String(cString: nghttp2_strerror(code))
    let cause: HTTP2SessionError.Cause =
      switch code {
      case Int32(NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue): .tooManyContinuations
      case Int32(NGHTTP2_ERR_FLOODED.rawValue): .tooManyUnsentAcknowledgements
      case Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue): .headersTooLarge
      default: .protocolViolation
      }
    return HTTP2SessionError(diagnostic.isEmpty ? text : "\(text): \(diagnostic)", cause)
  }
}
