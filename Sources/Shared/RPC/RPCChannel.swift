package import NIOCore

/// The client side of calls to one target. Generated clients are typed faces of it.
package protocol RPCChannel: Sendable {
  /// - Throws: the call's status when it is not OK.
  func unary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions
  ) async throws(RPCError) -> ClientResponse<Output>

  /// Calls `body` once the call is under way; leaving `body` before the stream ended cancels the call.
  func serverStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result

  /// `requests` writes the messages; its return half-closes the call.
  func clientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void
  ) async throws(RPCError) -> ClientResponse<Output>

  /// `requests` and `body` run at the same time; leaving `body` before the stream ended cancels the call.
  func bidirectionalStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result
}

/// A single response message and the metadata around it.
package struct ClientResponse<Message: WireMessage>: Sendable {
  package var message: Message
  package var initialMetadata: Metadata
  package var trailingMetadata: Metadata
  /// Whether the message came compressed.
  package var wasCompressed: Bool

  package init(
    message: Message, initialMetadata: Metadata, trailingMetadata: Metadata, wasCompressed: Bool = false
  ) {
    self.message = message
    self.initialMetadata = initialMetadata
    self.trailingMetadata = trailingMetadata
    self.wasCompressed = wasCompressed
  }
}

/// A streaming response under way.
package struct ClientStream<Message: WireMessage>: Sendable {
  /// Ends with `nil` after an OK status and throws any other status.
  package let messages: MessageStream<Message>
  private let initial: @Sendable () async throws -> Metadata
  private let trailing: @Sendable () -> Metadata
  private let compressed: @Sendable () -> Bool

  package init(
    messages: MessageStream<Message>, initialMetadata: @escaping @Sendable () async throws -> Metadata,
    trailingMetadata: @escaping @Sendable () -> Metadata, wasLastCompressed: @escaping @Sendable () -> Bool
  ) {
    self.messages = messages
    self.initial = initialMetadata
    self.trailing = trailingMetadata
    self.compressed = wasLastCompressed
  }

  /// Waits for the response headers.
  package var initialMetadata: Metadata { get async throws { try await initial() } }
  /// Complete once `messages` has ended.
  package var trailingMetadata: Metadata { trailing() }
  /// Whether the message that was taken last came compressed.
  package var wasLastCompressed: Bool { compressed() }
}

/// What one call asks of the runtime.
package struct CallOptions: Sendable {
  /// When the caller stops waiting. The remaining time travels as `grpc-timeout`. Monotonic.
  package var deadline: NIODeadline?
  /// Custom metadata of the request.
  package var metadata: Metadata
  /// Queue while the target is unreachable, until the deadline, instead of failing at once.
  package var waitForReady: Bool
  /// How the request's messages are compressed, where that makes them shorter. A server that cannot read it answers
  /// UNIMPLEMENTED (W20). Responses may come in any encoding that this runtime reads, whatever is chosen here.
  package var encoding: MessageEncoding

  package init(
    deadline: NIODeadline? = nil, metadata: Metadata = [:], waitForReady: Bool = false,
    encoding: MessageEncoding = .identity
  ) {
    self.deadline = deadline
    self.metadata = metadata
    self.waitForReady = waitForReady
    self.encoding = encoding
  }
}
