internal import NIOCore
internal import RPC
internal import StandardProtos
internal import Synchronization

/// The response messages of a call, for the task that reads them.
final class ResponseSource: MessageSource {
  private let call: ClientCall
  private let sink: RequestSink?
  private let trailing = Mutex<Metadata>([:])
  private let wasLastCompressed = Mutex(false)

  /// - Parameter sink: where the request is written, to name its failure as the cause of the call's.
  init(_ call: ClientCall, sink: RequestSink? = nil) {
    self.call = call
    self.sink = sink
  }

  func nextMessage() async throws -> ByteBuffer? {
    switch await call.nextOnLoop() {
    case .message(let message, let isCompressed):
      wasLastCompressed.withLock { $0 = isCompressed }
      return message
    case .end(let outcome, _):
      trailing.withLock { $0 = outcome.trailingMetadata }
      if outcome.code == .ok { return nil }
      throw RPCError(outcome, cause: sink?.failure)
    }
  }

  /// Waits for the response's headers.
  ///
  /// - Throws: the call's status when it ended without.
  func initialMetadata() async throws -> Metadata {
    let answer = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        call.hop { $0.initialMetadata(continuation) }
      }
    } onCancel: {
      call.hop { $0.cancel() }
    }
    switch answer {
    case .metadata(let metadata): return metadata
    case .none(let outcome) where outcome.code == .ok: return [:]
    case .none(let outcome): throw RPCError(outcome, cause: sink?.failure)
    }
  }

  var trailingMetadata: Metadata { trailing.withLock { $0 } }

  func stream<Message>(of type: Message.Type = Message.self) -> ClientStream<Message> {
    ClientStream(
      messages: MessageStream(source: self), initialMetadata: { try await self.initialMetadata() },
      trailingMetadata: { self.trailingMetadata }, wasLastCompressed: { self.wasLastCompressed.withLock { $0 } })
  }
}

/// Where the request messages of a streaming call are written.
final class RequestSink: MessageSink {
  private let call: ClientCall
  private let thrown = Mutex<(any Error)?>(nil)

  init(_ call: ClientCall) { self.call = call }

  func send(_ message: ByteBuffer, mayCompress: Bool) async throws {
    try Task.checkCancellation()
    let outcome = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        call.hop { $0.send(message, mayCompress: mayCompress, continuation) }
      }
    } onCancel: {
      // Also reached when the call is over and its writer is told to stop; then this changes nothing.
      call.hop { $0.cancel() }
    }
    guard let outcome else { return }
    guard outcome.code != .ok else {
      throw RPCError(.cancelled, "The call has ended with OK; the server takes no more messages.")
    }
    throw RPCError(outcome)
  }

  /// Runs the code that writes the request, then half-closes; if it throws, the call is cancelled.
  func run<Message>(_ requests: @Sendable (RequestWriter<Message>) async throws -> Void) async {
    do {
      try await requests(RequestWriter(sink: self))
      call.hop { $0.halfClose() }
    } catch {
      thrown.withLock { $0 = error }
      call.hop { $0.cancel("The request could not be written to its end.") }
    }
  }

  /// What the code that writes the request threw.
  var failure: (any Error)? { thrown.withLock { $0 } }
}

extension ClientCall {
  /// Runs `body` on the call's loop: at once when already there, otherwise soon, in order.
  func hop(_ body: @escaping @Sendable (ClientCall) -> Void) {
    if loop.inEventLoop { body(self) } else { loop.execute { body(self) } }
  }

  /// The next message, or the end. When the task is cancelled, so is the call.
  func nextOnLoop() async -> Next {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in hop { $0.next(continuation) } }
    } onCancel: {
      hop { $0.cancel() }
    }
  }
}

extension RPCError {
  /// The error of a call that did not end with OK.
  init(_ outcome: ClientCallState.Outcome, cause: (any Error)? = nil) {
    self.init(code: outcome.code, message: outcome.message, statusDetails: outcome.statusDetails)
    metadata = outcome.trailingMetadata
    self.cause = cause
  }
}
