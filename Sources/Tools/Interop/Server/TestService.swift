internal import InteropProtos
internal import RPC

/// `grpc.testing.TestService` by the interop test descriptions. `UnimplementedCall` and `CacheableUnaryCall` (which
/// wants a caching proxy) are left out, as is the second service of the package, so that they answer UNIMPLEMENTED.
///
/// Source: gRPC "Interoperability Test Case Descriptions", Server.
struct TestService: GRPCTesting.TestService {
  func emptyCall(_ request: GRPCTesting.Empty, context: ServerContext) async throws -> GRPCTesting.Empty {
    echoMetadata(context)
    return GRPCTesting.Empty()
  }

  func unaryCall(
    _ request: GRPCTesting.SimpleRequest, context: ServerContext
  ) async throws -> GRPCTesting.SimpleResponse {
    echoMetadata(context)
    try checkCompression(request.expectCompressed, context)
    try request.responseStatus?.throwUnlessOK()
    if request.responseCompressed?.value == true { context.responseCompression.encoding = .gzip }
    var response = GRPCTesting.SimpleResponse()
    response.payload = try .zeros(request.responseSize)
    return response
  }

  func streamingOutputCall(
    _ request: GRPCTesting.StreamingOutputCallRequest,
    response: ResponseWriter<GRPCTesting.StreamingOutputCallResponse>, context: ServerContext
  ) async throws {
    echoMetadata(context)
    try await answer(request, response, context)
  }

  func streamingInputCall(
    _ requests: MessageStream<GRPCTesting.StreamingInputCallRequest>, context: ServerContext
  ) async throws -> GRPCTesting.StreamingInputCallResponse {
    echoMetadata(context)
    var response = GRPCTesting.StreamingInputCallResponse()
    for try await request in requests {
      try checkCompression(request.expectCompressed, context)
      // Wraps, as the sum of the other implementations does, instead of trapping on what a caller sends.
      response.aggregatedPayloadSize &+= Int32(truncatingIfNeeded: request.payload?.body.count ?? 0)
    }
    return response
  }

  func fullDuplexCall(
    _ requests: MessageStream<GRPCTesting.StreamingOutputCallRequest>,
    response: ResponseWriter<GRPCTesting.StreamingOutputCallResponse>, context: ServerContext
  ) async throws {
    echoMetadata(context)
    for try await request in requests { try await answer(request, response, context) }
  }

  func halfDuplexCall(
    _ requests: MessageStream<GRPCTesting.StreamingOutputCallRequest>,
    response: ResponseWriter<GRPCTesting.StreamingOutputCallResponse>, context: ServerContext
  ) async throws {
    echoMetadata(context)
    var all: [GRPCTesting.StreamingOutputCallRequest] = []
    for try await request in requests {
      guard all.count < Self.maxHeldRequests else {
        throw RPCError(.resourceExhausted, "A half-duplex call may have at most \(Self.maxHeldRequests) requests.")
      }
      all.append(request)
    }
    for request in all { try await answer(request, response, context) }
  }

  /// Requests that a half-duplex call may have, since they are held until it is half-closed.
  private static let maxHeldRequests = 1000

  private func answer(
    _ request: GRPCTesting.StreamingOutputCallRequest,
    _ response: ResponseWriter<GRPCTesting.StreamingOutputCallResponse>, _ context: ServerContext
  ) async throws {
    try request.responseStatus?.throwUnlessOK()
    for parameters in request.responseParameters {
      context.responseCompression = ResponseCompression(encoding: .gzip, isOn: parameters.compressed?.value == true)
      if parameters.intervalUs > 0 { try await Task.sleep(for: .microseconds(parameters.intervalUs)) }
      var message = GRPCTesting.StreamingOutputCallResponse()
      message.payload = try .zeros(parameters.size)
      try await response.write(message)
    }
  }

  /// - Throws: `INVALID_ARGUMENT` if the message taken last was to be compressed and was not. One that was to be
  ///   uncompressed and was not is let pass: which of them are worth compressing is the client's choice.
  ///
  /// Source: feature "CompressedRequest".
  private func checkCompression(_ expected: GRPCTesting.BoolValue?, _ context: ServerContext) throws(RPCError) {
    guard expected?.value == true, !context.isRequestCompressed else { return }
    throw RPCError(.invalidArgument, "The request was expected to be compressed, and is not.")
  }

  /// Source: feature "Echo Metadata".
  private func echoMetadata(_ context: ServerContext) {
    for value in context.requestMetadata.values(for: "x-grpc-test-echo-initial") {
      context.initialMetadata.add(value, for: "x-grpc-test-echo-initial")
    }
    for value in context.requestMetadata.values(for: "x-grpc-test-echo-trailing-bin") {
      context.trailingMetadata.add(value, for: "x-grpc-test-echo-trailing-bin")
    }
  }
}

extension GRPCTesting.Payload {
  /// The largest payload that is made on request, in bytes.
  private static let maxSize: Int32 = 32 * 1024 * 1024

  /// - Throws: `INVALID_ARGUMENT` for a size that no payload has or that is over the limit.
  fileprivate static func zeros(_ size: Int32) throws(RPCError) -> Self {
    guard (0...maxSize).contains(size) else {
      throw RPCError(.invalidArgument, "A payload of \(size) bytes cannot be made; it must be from 0 to \(maxSize).")
    }
    var payload = Self()
    payload.body = [UInt8](repeating: 0, count: Int(size))
    return payload
  }
}

extension GRPCTesting.EchoStatus {
  /// Source: feature "Echo Status".
  fileprivate func throwUnlessOK() throws(RPCError) {
    guard code != 0 else { return }
    throw RPCError(StatusCode(rawValue: Int(code)) ?? .unknown, message)
  }
}
