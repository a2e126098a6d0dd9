package import Logging
package import NIOCore
package import RPC
package import Sockets

/// Calls to one target over HTTP/2, from any task.
///
/// Connects when the first call wants it, to one address or to all, as the service config says, and anew after a
/// connection ended. All that belongs to a channel happens on one event loop, without locks; calls hop there. Keep one channel per target and share it; ``close(grace:)`` it at the end.
package final class RPCClientChannel: RPCChannel {
  private let core: ChannelCore

  /// - Parameters:
  ///   - connector: how bytes travel: TCP, TLS or memory.
  ///   - loop: where the channel lives.
  package init(
    target: ChannelTarget, connector: any ByteConnector, on loop: any EventLoop,
    configuration: RPCClientConfiguration = .init(), resolver: any NameResolver = SystemResolver(),
    logger: Logger = Logger(label: "rpc.client")
  ) {
    core = ChannelCore(
      target: target, loop: loop, configuration: configuration, connector: connector, resolver: resolver,
      userAgent: (configuration.userAgentPrefix.map { $0 + " " } ?? "") + Self.userAgent, logger: logger)
  }

  /// A channel over sockets.
  ///
  /// - Parameters:
  ///   - target: in the grammar of ``ChannelTarget``, such as `dns:patients.internal:7443` or `unix:/run/patients.sock`.
  ///   - tls: `nil`: plaintext.
  /// - Throws: ``TargetError`` when the target cannot be parsed.
  package convenience init(
    target: String, tls: ClientTLS?, eventLoopGroup: any EventLoopGroup,
    configuration: RPCClientConfiguration = .init(),
    logger: Logger = Logger(label: "rpc.client")
  ) throws(TargetError) {
    let target = try ChannelTarget(parsing: target, defaultPort: tls == nil ? 80 : 443)
    self.init(
      target: target, connector: SocketConnector(tls: tls, hostName: target.hostName), on: eventLoopGroup.next(),
      configuration: configuration, logger: logger)
  }

  deinit {
    core.loop.execute { [core] in core.beginClose(grace: nil, nil) }
  }

  #if os(Linux)
    private static let userAgent = "grpc-swift-native/1.0 (linux)"
  #else
    private static let userAgent = "grpc-swift-native/1.0 (darwin)"
  #endif

  /// Replaces the service config: calls that begin from now on follow it.
  package func use(_ serviceConfig: ServiceConfig) {
    core.loop.execute { [core] in core.use(serviceConfig) }
  }

  /// Takes no more calls, lets those under way end, and closes the connections.
  ///
  /// - Parameter grace: after this long, calls that are still under way are cancelled.
  package func close(grace: TimeAmount = .zero) async {
    await withCheckedContinuation { continuation in
      core.loop.execute { [core] in core.beginClose(grace: grace, continuation) }
    }
  }
}

// MARK: - The four kinds of calls

extension RPCClientChannel {
  package func unary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions
  ) async throws(RPCError) -> ClientResponse<Output> {
    let message = try Self.serialize(request)
    let call = makeCall(method, options)
    call.hop { $0.start(message) }
    return try Self.response(await call.nextOnLoop())
  }

  package func serverStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    let message = try Self.serialize(request)
    let call = makeCall(method, options)
    call.hop { $0.start(message) }
    return try await read(ResponseSource(call), of: call, body: body)
  }

  package func clientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void
  ) async throws(RPCError) -> ClientResponse<Output> {
    let call = makeCall(method, options)
    let sink = RequestSink(call)
    call.hop { $0.start(nil) }
    let end = await withTaskGroup(of: Void.self) { group in
      group.addTask { await sink.run(requests) }
      let end = await call.nextOnLoop()
      group.cancelAll()  // The call is over: whoever still writes is told.
      return end
    }
    return try Self.response(end, cause: sink.failure)
  }

  package func bidirectionalStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    let call = makeCall(method, options)
    let sink = RequestSink(call)
    call.hop { $0.start(nil) }
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await sink.run(requests) }
      defer { group.cancelAll() }
      return try await read(ResponseSource(call, sink: sink), of: call, body: body)
    }
  }

  private func makeCall<Input, Output>(_ method: MethodDescriptor<Input, Output>, _ options: CallOptions) -> ClientCall
  {
    ClientCall(
      path: method.path, kind: method.kind, options: options, loop: core.loop, router: core)
  }

  /// Runs `body`; a call that is not over when it leaves is cancelled, as it is with the task.
  private func read<Output, Result: Sendable>(
    _ source: ResponseSource, of call: ClientCall, body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    defer { call.hop { $0.cancel("The caller stopped reading.") } }
    return try await withTaskCancellationHandler {
      try await body(source.stream())
    } onCancel: {
      call.hop { $0.cancel() }
    }
  }

  private static func serialize(_ request: some WireMessage) throws(RPCError) -> ByteBuffer {
    do throws(WireMessageError) {
      return try request.serialized()
    } catch {
      throw RPCError(.internal, "The request could not be serialized: \(error.description)")
    }
  }

  private static func response<Output>(
    _ end: ClientCall.Next, cause: (any Error)? = nil
  ) throws(RPCError) -> ClientResponse<Output> {
    guard case .end(let outcome, let initialMetadata) = end else {
      throw RPCError(.internal, "A call with a single response gave a message before its status.")
    }
    guard outcome.code == .ok, let bytes = outcome.response else { throw RPCError(outcome, cause: cause) }
    do throws(WireMessageError) {
      return ClientResponse(
        message: try Output(serialized: bytes), initialMetadata: initialMetadata,
        trailingMetadata: outcome.trailingMetadata, wasCompressed: outcome.wasResponseCompressed)
    } catch {
      throw RPCError(.internal, "The response could not be parsed: \(error.description)")
    }
  }
}
