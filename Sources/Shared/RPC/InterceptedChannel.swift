internal import NIOCore

/// A channel whose calls go through interceptors. See ``RPCChannel/intercepted(by:)``.
struct InterceptedChannel: RPCChannel {
  let channel: any RPCChannel
  let interceptors: [any ClientInterceptor]

  func unary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions
  ) async throws(RPCError) -> ClientResponse<Output> {
    try await single(ClientContext(method, options)) { (options) async throws(RPCError) in
      try await channel.unary(method, request, options: options)
    }
  }

  func clientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void
  ) async throws(RPCError) -> ClientResponse<Output> {
    try await single(ClientContext(method, options)) { (options) async throws(RPCError) in
      try await channel.clientStreaming(method, options: options, requests: requests)
    }
  }

  func serverStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    let context = ClientContext(method, options)
    return try await around(context) {
      try await channel.serverStreaming(method, request, options: context.options) { stream in
        try await read(stream, context, body)
      }
    }
  }

  func bidirectionalStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    let context = ClientContext(method, options)
    return try await around(context) {
      try await channel.bidirectionalStreaming(method, options: context.options, requests: requests) { stream in
        try await read(stream, context, body)
      }
    }
  }
}

extension InterceptedChannel {
  /// A call with a single response.
  private func single<Output>(
    _ context: ClientContext, _ call: (CallOptions) async throws(RPCError) -> ClientResponse<Output>
  ) async throws(RPCError) -> ClientResponse<Output> {
    do {
      return try await around(context) {
        let response = try await call(context.options)
        context.began(response.initialMetadata)
        context.ended(nil, trailingMetadata: response.trailingMetadata)
        return response
      }
    } catch {
      throw RPCError(wrapping: error, otherwise: "An interceptor of the client failed in an unexpected way.")
    }
  }

  /// The caller's code on a stream whose end the context learns of.
  private func read<Output, Result>(
    _ stream: ClientStream<Output>, _ context: ClientContext,
    _ body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    defer { context.ended(RPCError(.cancelled, "The caller stopped reading."), trailingMetadata: [:]) }
    return try await body(stream.observed(by: context))
  }

  /// Runs `call` inside all interceptors.
  private func around<Result>(
    _ context: ClientContext, _ call: () async throws -> Result
  ) async throws -> Result {
    var end: Swift.Result<Result, any Error>?
    try await run(interceptors[...], context) {
      guard end == nil else { throw RPCError(.internal, "An interceptor made one call twice.") }
      do {
        end = .success(try await call())
      } catch {
        end = .failure(error)
        let status = RPCError(wrapping: error)
        context.ended(status, trailingMetadata: status.metadata)
        throw error
      }
    }
    guard let end else { throw RPCError(.internal, "An interceptor neither made the call nor refused it.") }
    return try end.get()
  }

  private func run(
    _ interceptors: ArraySlice<any ClientInterceptor>, _ context: ClientContext, _ call: () async throws -> Void
  ) async throws {
    guard let interceptor = interceptors.first else { return try await call() }
    try await interceptor.intercept(context) { try await run(interceptors.dropFirst(), context, call) }
  }
}

extension ClientContext {
  fileprivate convenience init<Input, Output>(_ method: MethodDescriptor<Input, Output>, _ options: CallOptions) {
    self.init(path: method.path, kind: method.kind, options: options)
  }
}

extension ClientStream {
  fileprivate func observed(by context: ClientContext) -> ClientStream {
    ClientStream(
      messages: MessageStream(source: ObservedSource(stream: self, context: context)),
      initialMetadata: { try await self.initialMetadata }, trailingMetadata: { self.trailingMetadata },
      wasLastCompressed: { self.wasLastCompressed })
  }
}

/// A stream's messages, on their way to the caller.
private struct ObservedSource<Message: WireMessage>: MessageSource {
  let stream: ClientStream<Message>
  let context: ClientContext

  func nextMessage() async throws -> ByteBuffer? {
    do {
      let message = try await stream.messages.source.nextMessage()
      await noteInitialMetadata()
      if message == nil { context.ended(nil, trailingMetadata: stream.trailingMetadata) }
      return message
    } catch {
      await noteInitialMetadata()
      context.ended(RPCError(wrapping: error), trailingMetadata: stream.trailingMetadata)
      throw error
    }
  }

  /// It came before the message that was taken, so this does not wait; a call that failed at once has none.
  private func noteInitialMetadata() async {
    guard !context.hasBegun, let metadata = try? await stream.initialMetadata else { return }
    context.began(metadata)
  }
}
