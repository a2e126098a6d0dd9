internal import InteropProtos
internal import RPC

/// The cases in which messages are compressed.
extension InteropCases {
  func clientCompressedUnary() async throws {
    var request = GRPCTesting.SimpleRequest.large
    request.expectCompressed = .flag(true)
    let probe = request
    try await expectStatus(.invalidArgument) { _ = try await service.unaryCall(probe, options: Self.options()) }
    for encoding in [MessageEncoding.gzip, .deflate, .identity] {
      request.expectCompressed = .flag(encoding != .identity)
      var options = Self.options()
      options.encoding = encoding
      try expectZeros(try await service.unaryCall(request, options: options).payload, Self.largeResponse)
    }
  }

  func serverCompressedUnary() async throws {
    for compressed in [true, false] {
      var request = GRPCTesting.SimpleRequest.large
      request.responseCompressed = .flag(compressed)
      let response = try await channel.unary(
        GRPCTesting.TestServiceMethods.unaryCall, request, options: Self.options())
      try expect("the compressed flag of the response", response.wasCompressed, is: compressed)
      try expectZeros(response.message.payload, Self.largeResponse)
    }
  }

  func clientCompressedStreaming() async throws {
    var options = Self.options()
    options.encoding = .gzip
    let compressed = Self.input(27_182, expectCompressed: true)
    let uncompressed = Self.input(45_904, expectCompressed: false)
    try await expectStatus(.invalidArgument) {
      _ = try await service.streamingInputCall(options: options) { writer in
        try await writer.write(compressed, compressed: false)
      }
    }
    let response = try await service.streamingInputCall(options: options) { writer in
      try await writer.write(compressed)
      try await writer.write(uncompressed, compressed: false)
    }
    try expect("the aggregated payload size", response.aggregatedPayloadSize, is: 73_086)
  }

  private static func input(_ size: Int, expectCompressed: Bool) -> GRPCTesting.StreamingInputCallRequest {
    var request = GRPCTesting.StreamingInputCallRequest()
    request.payload = .zeros(size)
    request.expectCompressed = .flag(expectCompressed)
    return request
  }

  func serverCompressedStreaming() async throws {
    let expected = [(size: 31_415, compressed: true), (size: 92_653, compressed: false)]
    var request = GRPCTesting.StreamingOutputCallRequest()
    request.responseParameters = expected.map {
      var parameters = GRPCTesting.ResponseParameters.size($0.size)
      parameters.compressed = .flag($0.compressed)
      return parameters
    }
    try await service.streamingOutputCall(request, options: Self.options()) { stream in
      var messages = stream.messages.makeAsyncIterator()
      for (size, compressed) in expected {
        guard let response = try await messages.next() else { throw InteropFailure("A response is missing.") }
        try expect("the compressed flag of a response", stream.wasLastCompressed, is: compressed)
        try expectZeros(response.payload, size)
      }
      try expect("a response after the last", try await messages.next(), is: nil)
    }
  }
}

extension GRPCTesting.BoolValue {
  fileprivate static func flag(_ value: Bool) -> Self {
    var flag = Self()
    flag.value = value
    return flag
  }
}
