package import NIOCore

/// The incoming messages of a streaming call, in order; consumed once, by one task.
///
/// Backpressure: the peer's flow-control window opens only as messages are taken.
package struct MessageStream<Message: WireMessage>: AsyncSequence, Sendable {
  package typealias Element = Message
  package typealias Failure = any Error

  let source: any MessageSource

  package init(source: any MessageSource) { self.source = source }

  package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source: source) }

  package struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let source: any MessageSource

    /// The next message; `nil` after the peer half-closed (on a client: after an OK status).
    ///
    /// - Throws: ``RPCError``: `INTERNAL` when a message does not parse; on a client the call's status.
    package mutating func next() async throws -> Message? {
      guard let bytes = try await source.nextMessage() else { return nil }
      do {
        return try Message(serialized: bytes)
      } catch {
        throw RPCError(.internal, "A message could not be parsed: \(error.description)")
      }
    }
  }
}

/// Where a ``MessageStream`` takes whole, decompressed messages from.
package protocol MessageSource: Sendable {
  func nextMessage() async throws -> ByteBuffer?
}

/// Sends the messages of a streaming response, or of a streaming request.
package struct ResponseWriter<Message: WireMessage>: Sendable {
  private let sink: any MessageSink

  package init(sink: any MessageSink) { self.sink = sink }

  /// Sends one message; returns once the transport may take another (backpressure).
  ///
  /// - Parameter compressed: false for a message that goes out as it is, whatever holds for the call's others.
  /// - Throws: ``RPCError`` or `CancellationError` once the call is over.
  package func write(_ message: Message, compressed: Bool = true) async throws {
    var buffer = ByteBuffer()
    do {
      try message.serialize(into: &buffer)
    } catch {
      throw RPCError(.internal, "A message could not be serialized: \(error.description)")
    }
    try await sink.send(buffer, mayCompress: compressed)
  }
}

/// Where a ``ResponseWriter`` sends serialized messages to.
package protocol MessageSink: Sendable {
  /// - Parameter mayCompress: whether the message is compressed, if the call compresses at all.
  func send(_ message: ByteBuffer, mayCompress: Bool) async throws
}

package typealias RequestWriter = ResponseWriter
