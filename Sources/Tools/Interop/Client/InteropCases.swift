internal import InteropProtos
internal import NIOCore
internal import RPC

/// What each case does and asserts. Source: gRPC "Interoperability Test Case Descriptions", Client.
struct InteropCases {
  let channel: any RPCChannel
  let service: GRPCTesting.TestServiceClient

  init(channel: any RPCChannel) {
    self.channel = channel
    service = GRPCTesting.TestServiceClient(channel: channel)
  }

  func run(_ testCase: InteropCase) async throws {
    switch testCase {
    case .emptyUnary: try await emptyUnary()
    case .largeUnary: try await largeUnary()
    case .clientStreaming: try await clientStreaming()
    case .serverStreaming: try await serverStreaming()
    case .pingPong: try await pingPong()
    case .emptyStream: try await emptyStream()
    case .customMetadata: try await customMetadata()
    case .statusCodeAndMessage: try await statusMessage("test status message")
    case .specialStatusMessage:
      try await statusMessage("\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n", streaming: false)
    case .unimplementedMethod: try await unimplementedMethod()
    case .unimplementedService: try await unimplementedService()
    case .cancelAfterBegin: try await cancelAfterBegin()
    case .cancelAfterFirstResponse: try await cancelAfterFirstResponse()
    case .timeoutOnSleepingServer: try await timeoutOnSleepingServer()
    case .clientCompressedUnary: try await clientCompressedUnary()
    case .serverCompressedUnary: try await serverCompressedUnary()
    case .clientCompressedStreaming: try await clientCompressedStreaming()
    case .serverCompressedStreaming: try await serverCompressedStreaming()
    case .statusEdges: try await statusEdges()
    case .metadataEdges: try await metadataEdges()
    case .messageLimit: try await messageLimit()
    case .manyCalls: try await manyCalls()
    case .abandonedStreams: try await abandonedStreams()
    }
  }

  /// Of every call, so that a server which never answers fails the case instead of stopping it.
  static func options(_ metadata: Metadata = [:]) -> CallOptions {
    CallOptions(deadline: .now() + .seconds(60), metadata: metadata)
  }

  // MARK: Messages there and back

  private func emptyUnary() async throws {
    let response = try await service.emptyCall(GRPCTesting.Empty(), options: Self.options())
    try expect("the size of the response", try response.serializedBytes().count, is: 0)
  }

  private func largeUnary() async throws {
    try expectZeros(try await service.unaryCall(.large, options: Self.options()).payload, Self.largeResponse)
  }

  static let largeResponse = 314_159

  private func clientStreaming() async throws {
    let response = try await service.streamingInputCall(options: Self.options()) { writer in
      for size in Self.requestSizes {
        var request = GRPCTesting.StreamingInputCallRequest()
        request.payload = .zeros(size)
        try await writer.write(request)
      }
    }
    try expect("the aggregated payload size", response.aggregatedPayloadSize, is: 74_922)
  }

  private static let requestSizes = [27_182, 8, 1_828, 45_904]
  private static let responseSizes = [31_415, 9, 2_653, 58_979]

  private func serverStreaming() async throws {
    var request = GRPCTesting.StreamingOutputCallRequest()
    request.responseParameters = Self.responseSizes.map { .size($0) }
    let payloads = try await service.streamingOutputCall(request, options: Self.options()) { stream in
      try await stream.messages.reduce(into: []) { $0.append($1.payload) }
    }
    try expect("the number of responses", payloads.count, is: Self.responseSizes.count)
    for (payload, size) in zip(payloads, Self.responseSizes) { try expectZeros(payload, size) }
  }

  private func pingPong() async throws {
    let (turns, next) = AsyncStream.makeStream(of: Void.self)
    try await service.fullDuplexCall(options: Self.options()) { writer in
      var turn = turns.makeAsyncIterator()
      for (request, response) in zip(Self.requestSizes, Self.responseSizes) {
        try await writer.write(.asking(for: response, with: request))
        guard await turn.next() != nil else { throw CancellationError() }
      }
    } body: { stream in
      var messages = stream.messages.makeAsyncIterator()
      for size in Self.responseSizes {
        guard let response = try await messages.next() else { throw InteropFailure("A response is missing.") }
        try expectZeros(response.payload, size)
        next.yield()
      }
      try expect("a response after the last", try await messages.next(), is: nil)
    }
  }

  private func emptyStream() async throws {
    let count = try await service.fullDuplexCall(options: Self.options()) { _ in
    } body: { stream in
      try await stream.messages.reduce(0) { count, _ in count + 1 }
    }
    try expect("the number of responses", count, is: 0)
  }

  // MARK: Metadata and statuses

  private func customMetadata() async throws {
    let options = Self.options([
      Self.echoInitial: "test_initial_metadata_value", Self.echoTrailing: .binary([0xab, 0xab, 0xab]),
    ])
    let response = try await channel.unary(GRPCTesting.TestServiceMethods.unaryCall, .large, options: options)
    try expectZeros(response.message.payload, Self.largeResponse)
    try expectEcho(response.initialMetadata, response.trailingMetadata)

    let (initial, trailing) = try await service.fullDuplexCall(options: options) { writer in
      try await writer.write(.asking(for: Self.largeResponse, with: 271_828))
    } body: { stream in
      let initial = try await stream.initialMetadata
      let payloads = try await stream.messages.reduce(into: []) { $0.append($1.payload) }
      try expect("the number of responses", payloads.count, is: 1)
      for payload in payloads { try expectZeros(payload, Self.largeResponse) }
      return (initial, stream.trailingMetadata)
    }
    try expectEcho(initial, trailing)
  }

  static let echoInitial = "x-grpc-test-echo-initial"
  static let echoTrailing = "x-grpc-test-echo-trailing-bin"

  private func expectEcho(_ initial: Metadata, _ trailing: Metadata) throws {
    try expect(Self.echoInitial, initial.values(for: Self.echoInitial), is: [.ascii("test_initial_metadata_value")])
    try expect(Self.echoTrailing, trailing.values(for: Self.echoTrailing), is: [.binary([0xab, 0xab, 0xab])])
  }

  private func statusMessage(_ message: String, streaming: Bool = true) async throws {
    var status = GRPCTesting.EchoStatus()
    status.code = Int32(StatusCode.unknown.rawValue)
    status.message = message

    var request = GRPCTesting.SimpleRequest()
    request.responseStatus = status
    let unary = request
    try await expectStatus(.unknown, message) { _ = try await service.unaryCall(unary, options: Self.options()) }

    guard streaming else { return }
    var asking = GRPCTesting.StreamingOutputCallRequest()
    asking.responseStatus = status
    let duplex = asking
    try await expectStatus(.unknown, message) {
      try await service.fullDuplexCall(options: Self.options()) { writer in
        try await writer.write(duplex)
      } body: { stream in
        for try await _ in stream.messages {}
      }
    }
  }

  private func unimplementedMethod() async throws {
    try await expectStatus(.unimplemented) {
      _ = try await service.unimplementedCall(GRPCTesting.Empty(), options: Self.options())
    }
  }

  private func unimplementedService() async throws {
    let service = GRPCTesting.UnimplementedServiceClient(channel: channel)
    try await expectStatus(.unimplemented) {
      _ = try await service.unimplementedCall(GRPCTesting.Empty(), options: Self.options())
    }
  }

  // MARK: Checks

  /// - Throws: ``InteropFailure`` unless `call` fails with this code, and this message if one is given.
  func expectStatus(_ code: StatusCode, _ message: String? = nil, of call: () async throws -> Void) async throws {
    do {
      try await call()
    } catch let error as RPCError {
      guard error.code == code else {
        throw InteropFailure("The status is \(error) instead of \(code).")
      }
      if let message { try expect("the status message", error.message, is: message) }
      return
    }
    throw InteropFailure("The call succeeded instead of failing with \(code).")
  }

  func expectZeros(_ payload: GRPCTesting.Payload?, _ size: Int) throws(InteropFailure) {
    let body = payload?.body ?? []
    try expect("the size of a payload", body.count, is: size)
    guard body.allSatisfy({ $0 == 0 }) else { throw InteropFailure("A payload is not all zeros.") }
  }
}

extension GRPCTesting.Payload {
  static func zeros(_ size: Int) -> Self {
    var payload = Self()
    payload.body = [UInt8](repeating: 0, count: size)
    return payload
  }
}

extension GRPCTesting.SimpleRequest {
  /// The request of the cases with large messages.
  static var large: Self {
    var request = Self()
    request.responseSize = Int32(InteropCases.largeResponse)
    request.payload = .zeros(271_828)
    return request
  }
}

extension GRPCTesting.ResponseParameters {
  static func size(_ size: Int) -> Self {
    var parameters = Self()
    parameters.size = Int32(size)
    return parameters
  }
}

extension GRPCTesting.StreamingOutputCallRequest {
  /// Asks for one response, with a payload of its own.
  static func asking(for size: Int, with payload: Int) -> Self {
    var request = Self()
    request.responseParameters = [.size(size)]
    request.payload = .zeros(payload)
    return request
  }
}
