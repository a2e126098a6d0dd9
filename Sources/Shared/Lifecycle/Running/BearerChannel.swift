internal import Identity
internal import RPC

/// A channel whose calls carry our token, where there is no certificate that says who we are: plaintext, in development.
struct BearerChannel: RPCChannel {
  private let channel: any RPCChannel
  private let authorization: String

  init(_ channel: any RPCChannel, token: String) {
    self.channel = channel
    authorization = "Bearer \(token)"
  }

  private func authorized(_ options: CallOptions) -> CallOptions {
    var options = options
    options.metadata.set(authorization, for: IdentityMetadata.authorization)
    return options
  }

  func unary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions
  ) async throws(RPCError) -> ClientResponse<Output> {
    try await channel.unary(method, request, options: authorized(options))
  }

  func serverStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    try await channel.serverStreaming(method, request, options: authorized(options), body: body)
  }

  func clientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void
  ) async throws(RPCError) -> ClientResponse<Output> {
    try await channel.clientStreaming(method, options: authorized(options), requests: requests)
  }

  func bidirectionalStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result {
    try await channel.bidirectionalStreaming(method, options: authorized(options), requests: requests, body: body)
  }
}
