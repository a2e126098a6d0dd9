/// A service implementation that can be put into a server. Generated server protocols refine it and implement both.
package protocol RPCService: Sendable {
  static var serviceDescriptor: ServiceDescriptor { get }

  /// Registers a handler for each method.
  func registerMethods(with registrar: inout some ServiceRegistrar)
}

/// Takes the handlers of services; the server's router is one.
///
/// A handler runs in a task of its own, which is cancelled when the caller cancels, its deadline passes or its
/// connection ends. What it throws becomes the status (``RPCError/init(wrapping:)``).
package protocol ServiceRegistrar {
  mutating func registerUnary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (Input, ServerContext) async throws -> Output)

  mutating func registerServerStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (Input, ResponseWriter<Output>, ServerContext) async throws -> Void)

  mutating func registerClientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (MessageStream<Input>, ServerContext) async throws -> Output)

  mutating func registerBidirectionalStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (MessageStream<Input>, ResponseWriter<Output>, ServerContext) async throws -> Void)
}

/// Runs around every call, inside the runtime's own rules (limits, deadline) and outside the handler.
///
/// The first interceptor of a server is the outermost. On a streaming call `next` returns when the handler does.
package protocol ServerInterceptor: Sendable {
  /// Whether it also runs around calls that the runtime refuses before any handler: for an unknown method, a broken
  /// header, a limit, a deadline that passed. For such as log, count or name calls; `next` throws there, always.
  /// False by default.
  var seesRefusedCalls: Bool { get }

  /// Calls `next` at most once to go on inwards; to refuse the call, throws without calling it. An error thrown here
  /// is the status of the call, whether or not the handler ran.
  func intercept(_ context: ServerContext, next: () async throws -> Void) async throws
}

extension ServerInterceptor {
  package var seesRefusedCalls: Bool { false }
}
