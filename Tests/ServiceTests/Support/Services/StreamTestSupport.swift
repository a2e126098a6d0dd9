package import NIOCore
package import RPC
internal import Synchronization

/// Pauses that end when a test says so.
package final class ManualSleep: Sendable {
  private struct Sleeper {
    let duration: Duration
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var sleepers: [Int: Sleeper] = [:]
    var last = 0
    /// Tests that wait for somebody to sleep.
    var waiting: [(isMatch: @Sendable (Duration) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    var slept: [Duration] = []
  }

  private let state = Mutex(State())

  package init() {}

  /// Every pause that was ever asked for.
  package var slept: [Duration] { state.withLock { $0.slept } }

  package func sleep(_ duration: Duration) async throws {
    let id = state.withLock { state in
      state.last += 1
      return state.last
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let (isCancelled, told) = state.withLock { state in
          if Task.isCancelled { return (true, [CheckedContinuation<Void, Never>]()) }
          state.slept.append(duration)
          state.sleepers[id] = Sleeper(duration: duration, continuation: continuation)
          let told = state.waiting.filter { $0.isMatch(duration) }.map(\.continuation)
          state.waiting.removeAll { $0.isMatch(duration) }
          return (false, told)
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
        for waiting in told { waiting.resume() }
      }
    } onCancel: {
      state.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume(throwing: CancellationError())
    }
  }

  /// Waits until somebody sleeps for a duration like that, and ends that pause.
  package func wake(_ isMatch: @escaping @Sendable (Duration) -> Bool = { _ in true }) async {
    while true {
      await sleeping(isMatch)
      let sleeper = state.withLock { state in
        state.sleepers.first { isMatch($0.value.duration) }.flatMap { state.sleepers.removeValue(forKey: $0.key) }
      }
      if let sleeper { return sleeper.continuation.resume() }
    }
  }

  /// Waits until somebody sleeps for a duration like that.
  package func sleeping(_ isMatch: @escaping @Sendable (Duration) -> Bool = { _ in true }) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.sleepers.contains(where: { isMatch($0.value.duration) }) { return true }
        state.waiting.append((isMatch, continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
  }
}

/// For a call that must be refused: a response ends it.
package struct NoResponse: MessageSink {
  private struct Answered: Error {}

  package init() {}

  package func send(_ message: ByteBuffer, mayCompress: Bool) async throws { throw Answered() }
}

/// Keeps what a handler writes, for a test to read.
package final class ResponseCapture<Message: WireMessage>: MessageSink {
  private let stream: AsyncStream<ByteBuffer>
  private let continuation: AsyncStream<ByteBuffer>.Continuation

  package init() { (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self) }

  package var writer: ResponseWriter<Message> { ResponseWriter(sink: self) }

  package func send(_ message: ByteBuffer, mayCompress: Bool) async throws { continuation.yield(message) }

  /// The next `count` messages.
  package func next(_ count: Int) async throws -> [Message] {
    var messages: [Message] = []
    var iterator = stream.makeAsyncIterator()
    while messages.count < count {
      // Ends only with the test's task.
      guard let bytes = await iterator.next() else { throw CancellationError() }
      messages.append(try Message(serialized: bytes))
    }
    return messages
  }
}
