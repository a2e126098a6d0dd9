internal import CNGHTTP2
internal import NIOCore
internal import RPC

// What the library calls while it reads and writes. These functions only note what happened (events) and submit frames,
// which is allowed there; sending, receiving and ending the session is not.

extension HTTP2Session {
  static func makeSession(_ role: Role, _ configuration: Configuration) -> OpaquePointer {
    var options: OpaquePointer?
    unsafe nghttp2_option_new(&options)
    defer { unsafe nghttp2_option_del(options) }
    unsafe nghttp2_option_set_no_auto_window_update(options, 1)
    unsafe nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(options, 1)
    unsafe nghttp2_option_set_stream_reset_rate_limit(options, configuration.resetBurst, configuration.resetsPerSecond)
    unsafe nghttp2_option_set_max_continuations(options, configuration.maxContinuations)
    // Closed streams are of no use without the RFC 7540 priority tree, and cost memory.
    unsafe nghttp2_option_set_no_closed_streams(options, 1)

    var session: OpaquePointer?
    let result =
      switch role {
      case .server: unsafe nghttp2_session_server_new2(&session, callbacks, nil, options)
      case .client: unsafe nghttp2_session_client_new2(&session, callbacks, nil, options)
      }
    guard result == 0, let session = unsafe session else {
      // Only for lack of memory, where Swift's own allocations trap as well.
      preconditionFailure("nghttp2 could not make a session")
    }
    return unsafe session
  }

  func submitPreface() {
    let aboveOurOwnLimit: UInt32 = 1 << 24
    var settings: [nghttp2_settings_entry] = [
      // The first entry's value is replaced on the wire; see patchSettings.
      role == .server
        ? entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, aboveOurOwnLimit)
        : entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)
    ]
    settings.append(entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(configuration.streamWindow)))
    settings.append(entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, UInt32(configuration.maxHeaderListSize)))
    unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    unsafe nghttp2_session_set_local_window_size(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, configuration.connectionWindow)
  }

  private func entry(_ id: nghttp2_settings_id, _ value: UInt32) -> nghttp2_settings_entry {
    nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value)
  }

  /// Where the library takes a stream's DATA from: straight from its outbound buffer.
  static func dataProvider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
    unsafe nghttp2_data_provider(
      source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()), read_callback: readBody)
  }

  // Written once, when first used, and only read afterwards; the library copies it into each session.
  private nonisolated(unsafe) static let callbacks: OpaquePointer? = {
    var callbacks: OpaquePointer?
    unsafe nghttp2_session_callbacks_new(&callbacks)
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, onBeginHeaders)
    unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, onData)
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrame)
    unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, onFrameSent)
    unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, onFrameNotSent)
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, onStreamClose)
    unsafe nghttp2_session_callbacks_set_error_callback2(callbacks, onError)
    return unsafe callbacks
  }()

  /// The record of a stream, if it is one we know.
  func stream(_ id: Int32) -> HTTP2Stream? {
    guard let pointer = unsafe nghttp2_session_get_stream_user_data(session, id) else { return nil }
    return unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
  }

  var isOverStreamLimit: Bool { liveStreams.count > Int(configuration.maxConcurrentStreams) }
}

private let endStreamFlag = UInt8(NGHTTP2_FLAG_END_STREAM.rawValue)
private let ackFlag = UInt8(NGHTTP2_FLAG_ACK.rawValue)

private func owner(_ userData: UnsafeMutableRawPointer?) -> HTTP2Session? {
  unsafe userData.map { unsafe Unmanaged<HTTP2Session>.fromOpaque($0).takeUnretainedValue() }
}

// MARK: - Receiving

private let onBeginHeaders: nghttp2_on_begin_headers_callback = { _, frame, userData in
  guard let session = unsafe owner(userData), let frame = unsafe frame else { return 0 }
  let id = unsafe frame.pointee.hd.stream_id
  if session.role == .server, unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
    let stream = session.makeStream(id)
    unsafe nghttp2_session_set_stream_user_data(session.session, id, Unmanaged.passUnretained(stream).toOpaque())
    session.lastPeerStreamID = id
    session.beginBlock(for: stream)
  } else {
    session.beginBlock(for: session.stream(id))
  }
  return 0
}

private let onHeader: nghttp2_on_header_callback = { _, _, name, nameLength, value, valueLength, _, userData in
  guard let session = unsafe owner(userData) else { return 0 }
  session.decodedSize += nameLength + valueLength + 32
  guard session.decodedSize <= session.configuration.maxDecodedHeaders else {
    return Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
  }
  guard session.blockStream != nil, !session.block.isOverLimit else { return 0 }
  // Beyond the limit nothing is kept, but the library goes on decoding, so that its table stays right for the streams
  // to come (CVE-2024-7246's lesson).
  guard session.block.listSize + nameLength + valueLength + 32 <= session.configuration.maxHeaderListSize else {
    session.block.isOverLimit = true
    session.counters.oversizedHeaders += 1
    return 0
  }
  unsafe session.block.append(
    name: UnsafeBufferPointer(start: name, count: nameLength),
    value: UnsafeBufferPointer(start: value, count: valueLength))
  return 0
}

private let onData: nghttp2_on_data_chunk_recv_callback = { library, _, id, data, count, userData in
  guard let session = unsafe owner(userData) else { return 0 }
  // The connection's credit never waits for a reader: a stream's own window bounds what it can pile up.
  unsafe nghttp2_session_consume_connection(library, count)
  guard let stream = session.stream(id) else { return 0 }
  unsafe stream.inbound.writeBytes(UnsafeRawBufferPointer(start: data, count: count))
  stream.unconsumedBytes += count
  return 0
}

private let onFrame: nghttp2_on_frame_recv_callback = { _, frame, userData in
  guard let session = unsafe owner(userData), let frame = unsafe frame else { return 0 }
  let header = unsafe frame.pointee.hd
  switch nghttp2_frame_type(UInt32(header.type)) {
  case NGHTTP2_DATA: session.receivedData(header)
  case NGHTTP2_HEADERS: session.receivedHeaders(header)
  case NGHTTP2_RST_STREAM:
    session.counters.resets += 1
    session.stream(header.stream_id)?.resetByPeer = true
  case NGHTTP2_SETTINGS:
    if header.flags & ackFlag != 0 {
      session.append(.settingsAcknowledged)
    } else {
      session.counters.settings += 1
      session.append(.settings)
    }
  case NGHTTP2_PING:
    if header.flags & ackFlag != 0 {
      let payload = unsafe withUnsafeBytes(of: frame.pointee.ping.opaque_data) { bytes in
        unsafe UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
      }
      session.append(.pingAcknowledged(payload))
    } else {
      session.counters.pings += 1
      session.append(.ping)
    }
  case NGHTTP2_GOAWAY:
    let goAway = unsafe frame.pointee.goaway
    let debugData = unsafe String(
      decoding: UnsafeBufferPointer(start: goAway.opaque_data, count: min(goAway.opaque_data_len, 256)),
      as: UTF8.self)
    session.append(
      unsafe .goAway(
        lastStreamID: goAway.last_stream_id, code: HTTP2ErrorCode(rawValue: goAway.error_code), debugData: debugData))
  default: break
  }
  return 0
}

extension HTTP2Session {
  fileprivate func receivedData(_ header: nghttp2_frame_hd) {
    let ends = header.flags & endStreamFlag != 0
    if header.length == 0, !ends { counters.emptyData += 1 }
    guard let stream = stream(header.stream_id), !stream.isRefused else { return }
    if ends { stream.isRemoteClosed = true }
    if ends || header.length > 0 { append(.data(stream, endStream: ends)) }
  }

  fileprivate func receivedHeaders(_ header: nghttp2_frame_hd) {
    guard let stream = blockStream, stream.id == header.stream_id else { return }
    let fields = takeBlock()
    let ends = header.flags & endStreamFlag != 0
    if ends { stream.isRemoteClosed = true }
    if stream.isRefused { return }
    // `:status` comes first, so that it is kept of a response's headers that are over the limit.
    let isTrailers =
      role == .server
      ? stream.hasReceivedHeaders
      : fields.first(.status) == nil && (stream.hasReceivedHeaders || !fields.isOverLimit)
    if isTrailers {
      append(.trailers(stream, fields))
    } else if role == .server, isOverStreamLimit {
      counters.refusedStreams += 1
      stream.isRefused = true
      reset(stream, .refusedStream)
    } else {
      stream.hasReceivedHeaders = true
      append(.headers(stream, fields, endStream: ends))
    }
  }

  /// Takes a stream out and tells of it, unless nothing was ever told of it.
  fileprivate func closed(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
    forget(stream)
    if blockStream === stream { blockStream = nil }
    if code != .noError, !stream.resetByPeer, !stream.resetByUs { counters.provokedResets += 1 }
    guard stream.hasReceivedHeaders || role == .client else {
      recycle(stream)
      return
    }
    // What never left may be repeated elsewhere, like what the peer refused (W54).
    let wasNeverSent = stream.wasNeverSent && !stream.resetByUs
    let code = wasNeverSent ? .refusedStream : code
    let inOrder = code == .noError && stream.isLocalClosed && stream.isRemoteClosed
    append(
      .closed(
        stream, reset: inOrder ? nil : StreamReset(code: code, byPeer: stream.resetByPeer, wasNeverSent: wasNeverSent)))
  }
}

private let onStreamClose: nghttp2_on_stream_close_callback = { _, id, code, userData in
  guard let session = unsafe owner(userData), let stream = session.stream(id) else { return 0 }
  session.closed(stream, HTTP2ErrorCode(rawValue: code))
  return 0
}

private let onError: nghttp2_error_callback2 = { _, _, text, count, userData in
  guard let session = unsafe owner(userData), let text = unsafe text else { return 0 }
  unsafe text.withMemoryRebound(to: UInt8.self, capacity: count) { bytes in
    session.diagnostic = unsafe String(
      decoding: UnsafeBufferPointer(start: bytes, count: min(count, 256)), as: UTF8.self)
  }
  return 0
}

// MARK: - Sending

private let onFrameSent: nghttp2_on_frame_send_callback = { library, frame, userData in
  guard let session = unsafe owner(userData), let frame = unsafe frame else { return 0 }
  let header = unsafe frame.pointee.hd
  let isData = header.type == UInt8(NGHTTP2_DATA.rawValue)
  guard isData || header.type == UInt8(NGHTTP2_HEADERS.rawValue) else { return 0 }
  session.hasSentHeadersOrData = true
  if session.role == .client, !isData { session.stream(header.stream_id)?.hasSentHeaders = true }
  guard header.flags & endStreamFlag != 0, let stream = session.stream(header.stream_id) else { return 0 }
  stream.isLocalClosed = true
  if session.role == .server, !stream.isRemoteClosed {
    unsafe nghttp2_submit_rst_stream(
      library, UInt8(NGHTTP2_FLAG_NONE.rawValue), header.stream_id, HTTP2ErrorCode.noError.rawValue)
  }
  return 0
}

/// A frame that cannot go out: a request after GOAWAY, or a header block that is too large. The call must not hang.
private let onFrameNotSent: nghttp2_on_frame_not_send_callback = { library, frame, _, userData in
  guard let session = unsafe owner(userData), let frame = unsafe frame else { return 0 }
  let header = unsafe frame.pointee.hd
  guard header.type == UInt8(NGHTTP2_HEADERS.rawValue) else { return 0 }
  if unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
    if let stream = session.stream(header.stream_id) {
      stream.wasNeverSent = true  // the library closes it next
    } else if let stream = session.liveStreams.first(where: { $0.id == header.stream_id }) {
      stream.wasNeverSent = true
      session.closed(stream, .refusedStream)
    }
  } else {
    unsafe nghttp2_submit_rst_stream(
      library, UInt8(NGHTTP2_FLAG_NONE.rawValue), header.stream_id, HTTP2ErrorCode.internalError.rawValue)
  }
  return 0
}

private let readBody: nghttp2_data_source_read_callback = { library, id, buffer, length, flags, source, userData in
  guard let session = unsafe owner(userData), let pointer = unsafe source?.pointee.ptr else { return 0 }
  let stream = unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
  let count = min(length, stream.outbound.readableBytes)
  if count > 0 {
    unsafe stream.outbound.withUnsafeReadableBytes { bytes in
      unsafe UnsafeMutableRawBufferPointer(start: buffer, count: count).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
    }
    stream.outbound.moveReaderIndex(forwardBy: count)
    stream.sentSinceMark = stream.outbound.readableBytes == 0 ? nil : stream.sentSinceMark.map { $0 + count }
    session.account(stream)
    if stream.isAboveWatermark, stream.outbound.readableBytes <= session.configuration.outboundLowWatermark {
      stream.isAboveWatermark = false
      session.append(.writable(stream))
    }
  }
  guard stream.outbound.readableBytes == 0 else { return count }
  switch stream.ending {
  case .open:
    if count == 0 {
      stream.isDeferred = true
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    stream.outbound.clear()
  case .data:
    unsafe flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
  case .trailers(let fixed, let extra):
    unsafe flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
    session.submitTrailers(stream, fixed: fixed, extra: extra)
  }
  return count
}
