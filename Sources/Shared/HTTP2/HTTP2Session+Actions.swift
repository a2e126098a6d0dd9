internal import CNGHTTP2
package import RPC

// What a driver does with a session. Actions on a stream that is over are ignored: that race is ordinary.
extension HTTP2Session {
  // MARK: Client

  /// Opens a stream with a request's headers; its body is what is appended to ``HTTP2Stream/outbound``, until
  /// ``finishRequest(_:)``.
  ///
  /// - Returns: `nil` when no stream can be opened any more (GOAWAY, or the ids are used up).
  package func submitRequest(_ headers: HeaderFields) -> HTTP2Stream? {
    let stream = makeStream(0)
    var provider = unsafe Self.dataProvider(stream)
    let id = unsafe withFields(fixed: nil, headers) { fields, count in
      unsafe nghttp2_submit_request(
        session, nil, fields, count, &provider, Unmanaged.passUnretained(stream).toOpaque())
    }
    guard id > 0 else {
      forget(stream)
      recycle(stream)
      return nil
    }
    stream.id = id
    return stream
  }

  /// No more request bytes follow what is in ``HTTP2Stream/outbound``: END_STREAM comes after them.
  package func finishRequest(_ stream: HTTP2Stream) {
    stream.ending = .data
    resume(stream)
  }

  /// Streams of ours that the peer lets be open at once (W57). Above it the library holds a request back.
  package var peerMaxConcurrentStreams: UInt32 {
    unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
  }

  // MARK: Server

  /// Starts a response: `fixed`, then `extra`; the body is what is appended to ``HTTP2Stream/outbound``, until
  /// ``finishResponse(_:fixed:extra:)``.
  package func submitResponse(_ stream: HTTP2Stream, fixed: FixedHeaders, extra: HeaderFields? = nil) {
    guard isOpen(stream) else { return }
    var provider = unsafe Self.dataProvider(stream)
    let result = unsafe withFields(fixed: fixed, extra) { fields, count in
      unsafe nghttp2_submit_response(session, stream.id, fields, count, &provider)
    }
    if result != 0 { reset(stream, .internalError) }
  }

  /// A whole response in one header block (Trailers-Only, W30; or a plain HTTP error).
  package func submitResponseWithoutBody(_ stream: HTTP2Stream, fixed: FixedHeaders?, extra: HeaderFields? = nil) {
    guard isOpen(stream) else { return }
    let result = unsafe withFields(fixed: fixed, extra) { fields, count in
      unsafe nghttp2_submit_response(session, stream.id, fields, count, nil)
    }
    if result != 0 { reset(stream, .internalError) }
  }

  /// Ends a response after what is in ``HTTP2Stream/outbound`` with a trailing block. If the peer has not half-closed by
  /// then, RST_STREAM(NO_ERROR) follows the trailers (W38).
  package func finishResponse(_ stream: HTTP2Stream, fixed: FixedHeaders?, extra: HeaderFields? = nil) {
    stream.ending = .trailers(fixed, extra)
    resume(stream)
  }

  // MARK: Both

  /// Bytes were appended to ``HTTP2Stream/outbound``.
  package func resume(_ stream: HTTP2Stream) {
    account(stream)
    if stream.outbound.readableBytes > configuration.outboundHighWatermark { stream.isAboveWatermark = true }
    guard stream.isDeferred, isOpen(stream) else { return }
    stream.isDeferred = false
    unsafe nghttp2_session_resume_data(session, stream.id)
  }

  /// Whether a writer should wait for ``HTTP2Event/writable(_:)``.
  package func isOutboundFull(_ stream: HTTP2Stream) -> Bool { stream.isAboveWatermark }

  /// `count` bytes of ``HTTP2Stream/inbound`` were taken: the peer may send as many more on this stream.
  package func consume(_ count: Int, on stream: HTTP2Stream) {
    let count = min(count, stream.unconsumedBytes)
    guard count > 0 else { return }
    stream.unconsumedBytes -= count
    guard isOpen(stream), !stream.isRemoteClosed else { return }
    unsafe nghttp2_session_consume_stream(session, stream.id, count)
  }

  /// Consumes what was taken out of ``HTTP2Stream/inbound`` since the last time.
  package func consumeTaken(on stream: HTTP2Stream) {
    consume(stream.unconsumedBytes - stream.inbound.readableBytes, on: stream)
  }

  /// Ends a stream at once. What it had queued is not sent.
  package func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
    guard isOpen(stream) else { return }
    stream.resetByUs = true
    unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
  }

  package func ping(_ payload: UInt64) {
    unsafe withUnsafeBytes(of: payload.bigEndian) { bytes in
      unsafe nghttp2_submit_ping(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
      return
    }
  }

  /// First half of a graceful end (W45): GOAWAY(2^31-1, NO_ERROR). The peer may still open streams that are on their
  /// way; follow it by a ``ping(_:)`` and, on its answer, ``finishShutdown()``.
  package func beginShutdown() {
    unsafe nghttp2_submit_shutdown_notice(session)
  }

  /// Second half: GOAWAY with the last stream that was accepted. Later ones are ignored; accepted ones go on.
  package func finishShutdown() {
    goAway(.noError, lastStreamID: lastPeerStreamID)
  }

  /// GOAWAY with a reason, after which the session ends once its streams have (at once with ``terminate(_:_:)``).
  package func goAway(_ code: HTTP2ErrorCode, lastStreamID: Int32? = nil, debugData: String = "") {
    let debug = Array(debugData.utf8)
    unsafe nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), lastStreamID ?? lastPeerStreamID, code.rawValue, debug, debug.count)
  }

  /// GOAWAY, and nothing after it: all streams are given up.
  package func terminate(_ code: HTTP2ErrorCode, debugData: String = "") {
    goAway(code, debugData: debugData)
    unsafe nghttp2_session_terminate_session2(session, lastPeerStreamID, code.rawValue)
  }

  /// Queues the trailing block; called once the body has gone out.
  func submitTrailers(_ stream: HTTP2Stream, fixed: FixedHeaders?, extra: HeaderFields?) {
    let result = unsafe withFields(fixed: fixed, extra) { fields, count in
      unsafe nghttp2_submit_trailer(session, stream.id, fields, count)
    }
    if result != 0 { reset(stream, .internalError) }
  }

  func isOpen(_ stream: HTTP2Stream) -> Bool { stream.slot >= 0 }

  /// Lays out `fixed` followed by `extra` for the library, which copies what is in `extra`.
  private func withFields<Result>(
    fixed: FixedHeaders?, _ extra: HeaderFields?,
    _ body: (UnsafeMutablePointer<nghttp2_nv>?, Int) -> Result
  ) -> Result {
    guard let extra, !extra.isEmpty else {
      return unsafe body(fixed?.fields.baseAddress, fixed?.fields.count ?? 0)
    }
    let fixedCount = unsafe fixed?.fields.count ?? 0
    let count = fixedCount + extra.fields.count
    return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: count) { list in
      if let fixed { _ = unsafe list.initialize(fromContentsOf: fixed.fields) }
      return unsafe extra.bytes.withUnsafeBufferPointer { bytes in
        // The library takes mutable pointers but does not write through them.
        let start = unsafe UnsafeMutablePointer(mutating: bytes.baseAddress)
        for (index, field) in extra.fields.enumerated() {
          let name = extra.nameRange(of: field)
          let value = extra.valueRange(of: field)
          unsafe list.initializeElement(
            at: fixedCount + index,
            to: nghttp2_nv(
              name: start.map { unsafe $0 + name.lowerBound }, value: start.map { unsafe $0 + value.lowerBound },
              namelen: name.count, valuelen: value.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
        }
        return unsafe body(list.baseAddress, count)
      }
    }
  }
}
