internal import HTTP2
internal import NIOCore
internal import RPC

// What a handler asks of its call.
extension ServerCall {
  /// The one request message of a method that takes one.
  func takeRequest<Input: WireMessage>() throws(RPCError) -> Input {
    guard let bytes = request else { throw RPCError(.internal, "The request was taken already.") }
    request = nil
    do throws(WireMessageError) {
      return try Input(serialized: bytes)
    } catch {
      throw RPCError(.internal, "The request could not be parsed: \(error.description)")
    }
  }

  /// The one response of a method that has one, if this is the connection's loop already: an asynchronous function that
  /// need not be called costs no frame. It goes out once the interceptors have let it pass.
  ///
  /// - Returns: whether it was taken; if not, ``respond(_:)`` takes it.
  func respondOnLoop(_ message: some WireMessage) throws(RPCError) -> Bool {
    guard eventLoop.inEventLoop else { return false }
    try stage(message)
    return true
  }

  /// As ``respondOnLoop(_:)``, from any thread.
  func respond(_ message: some WireMessage) async throws {
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      eventLoop.execute { done.resume(with: Result { try self.stage(message) }) }
    }
  }

  private func stage(_ message: some WireMessage) throws(RPCError) {
    guard let stream else { throw failure ?? RPCError(.cancelled, "The call is over.") }
    try requireRoom()
    if responseEncoding() == .identity {
      do throws(WireMessageError) {
        try MessageFraming.write(into: &stream.outbound) { (buffer) throws(WireMessageError) in
          try message.serialize(into: &buffer)
        }
      } catch {
        throw Self.unserializable(error)
      }
      try checkLength(stream.outbound.readableBytes - MessageFraming.prefixLength)
    } else {
      let bytes: ByteBuffer
      do throws(WireMessageError) { bytes = try message.serialized() } catch { throw Self.unserializable(error) }
      try checkLength(bytes.readableBytes)
      frame(bytes, into: &stream.outbound)
    }
    context.countSent(stream.outbound.readableBytes - MessageFraming.prefixLength)
    hasStagedResponse = true
  }

  /// What waits on the connection is bounded, so that callers that do not read cost no more than that.
  private func requireRoom() throws(RPCError) {
    guard let connection, connection.session.bufferedBytes > limits.maxBufferedBytes else { return }
    connection.shared.trips.tripped(.bufferedBytes, peer: context.peer.address, now: connection.now())
    throw RPCError(
      .resourceExhausted,
      "\(connection.session.bufferedBytes) bytes of responses wait on the connection "
        + "(option: maxBufferedBytes): read them, or use more connections.")
  }

  private static func unserializable(_ error: WireMessageError) -> RPCError {
    RPCError(.internal, "The response could not be serialized: \(error.description)")
  }

  private func checkLength(_ length: Int) throws(RPCError) {
    guard length <= limits.maxSendMessageLength else {
      throw RPCError(
        .resourceExhausted,
        "A response message of \(context.path) with \(length) bytes is larger than the limit of "
          + "\(limits.maxSendMessageLength) bytes (option: maxSendMessageLength).")
    }
  }
}

extension ServerCall: MessageSource {
  func nextMessage() async throws -> ByteBuffer? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { reader in
        onLoop { $0.read(reader) }
        // A task that was cancelled before it got here was told so before there was anybody to tell.
        if Task.isCancelled { onLoop { $0.cancelReader() } }
      }
    } onCancel: {
      onLoop { $0.cancelReader() }
    }
  }

  private func cancelReader() {
    reader?.resume(throwing: CancellationError())
    reader = nil
  }

  /// Gives `reader` the next message, or keeps it until there is one.
  func read(_ reader: CheckedContinuation<ByteBuffer?, any Error>) {
    guard let connection, let stream else {
      return reader.resume(throwing: failure ?? RPCError(.cancelled, "The call is over."))
    }
    guard self.reader == nil else {
      return reader.resume(throwing: RPCError(.internal, "Two tasks read the messages of one call."))
    }
    do throws(RPCError) {
      switch try state.next(from: &stream.inbound) {
      case .message(let message):
        messageWasTaken()
        connection.session.consumeTaken(on: stream)
        connection.needsFlush()
        reader.resume(returning: message)
      case .wait:
        // The reader starves: whatever is buffered is part of a message that cannot be complete without more.
        connection.session.consume(stream.unconsumedBytes, on: stream)
        connection.needsFlush()
        self.reader = reader
      case .end: reader.resume(returning: nil)
      }
    } catch {
      self.reader = reader  // told by release
      fail(error)
    }
  }
}

extension ServerCall: MessageSink {
  func send(_ message: ByteBuffer, mayCompress: Bool) async throws {
    try checkLength(message.readableBytes)
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { writer in
        onLoop { $0.write(message, mayCompress: mayCompress, writer) }
        // As in ``nextMessage()``.
        if Task.isCancelled { onLoop { $0.cancelWriters() } }
      }
    } onCancel: {
      onLoop { $0.cancelWriters() }
    }
  }

  private func cancelWriters() {
    let waiting = writers
    writers = []
    for writer in waiting { writer.resume(throwing: CancellationError()) }
  }

  /// Sends `message` and resumes `writer` when the stream has room for another.
  private func write(
    _ message: ByteBuffer, mayCompress: Bool, _ writer: CheckedContinuation<Void, any Error>
  ) {
    guard let connection, let stream else {
      return writer.resume(throwing: failure ?? RPCError(.cancelled, "The call is over."))
    }
    do throws(RPCError) { try requireRoom() } catch { return writer.resume(throwing: error) }
    _ = responseEncoding()
    sendHeadersIfNeeded(on: stream, of: connection.session)
    let waiting = stream.outbound.readableBytes
    frame(message, mayCompress: mayCompress, into: &stream.outbound)
    context.countSent(stream.outbound.readableBytes - waiting - MessageFraming.prefixLength)
    connection.session.resume(stream)
    connection.needsFlush()
    if connection.session.isOutboundFull(stream) { writers.append(writer) } else { writer.resume() }
  }
}
