internal import InteropProtos
internal import NIOCore
internal import RPC

/// Cases of our own: what the published ones leave out, as our client sees other servers.
extension InteropCases {
  /// Every status code, and messages that are hard to send. Some servers send spaces around a message as they are, where
  /// HTTP does not keep them (WIRE W13, W31).
  func statusEdges() async throws {
    for code in StatusCode.allCases where code != .ok {
      try await expectStatus(code, "why") { try await fail(code, "why") }
    }
    let long = String(repeating: "☺", count: 500)
    for message in ["", "%", "%41", "100 % sure", "a%2", "\u{7f}", "é", "\u{10ffff}", long] {
      try await expectStatus(.aborted, message) { try await fail(.aborted, message) }
    }
    for message in [" ", " x ", "x  "] {
      do {
        try await fail(.aborted, message)
      } catch let error as RPCError where error.code == .aborted {
        try expect("the status message", error.message.filter { $0 != " " }, is: message.filter { $0 != " " })
      }
    }
  }

  private func fail(_ code: StatusCode, _ message: String) async throws {
    var request = GRPCTesting.SimpleRequest()
    var status = GRPCTesting.EchoStatus()
    status.code = Int32(code.rawValue)
    status.message = message
    request.responseStatus = status
    _ = try await service.unaryCall(request, options: Self.options())
    throw InteropFailure("The call succeeded instead of failing with \(code).")
  }

  /// Metadata of every byte, empty, long and repeated (WIRE W13–W15).
  func metadataEdges() async throws {
    let binary: [[UInt8]] = [[0], [255], Array(0...255), [], [UInt8](repeating: 120, count: 2000), [0]]
    let ascii = ["~", "a, b", "\"%41\"", String(repeating: "x", count: 2000), "~"]
    var metadata: Metadata = [:]
    for value in binary { metadata.add(.binary(value), for: Self.echoTrailing) }
    for value in ascii { metadata.add(value, for: Self.echoInitial) }
    let response = try await channel.unary(
      GRPCTesting.TestServiceMethods.emptyCall, GRPCTesting.Empty(), options: Self.options(metadata))
    try expect(
      Self.echoTrailing, response.trailingMetadata.values(for: Self.echoTrailing), is: binary.map { .binary($0) })
    try expect(
      Self.echoInitial, response.initialMetadata.values(for: Self.echoInitial), is: ascii.map { .ascii($0) })
  }

  /// The receive limit is inclusive, and the connection outlives what is over it (WIRE W22).
  func messageLimit() async throws {
    // Tag and length of the payload, and of its body.
    let overhead = 10
    var request = GRPCTesting.SimpleRequest()
    request.responseSize = Int32(MessageDeframer.defaultMaxMessageLength - overhead)
    let largest = try await service.unaryCall(request, options: Self.options())
    try expect("the size of the response", try largest.serializedBytes().count, is: 4 * 1024 * 1024)
    request.responseSize += 1
    let tooLarge = request
    try await expectStatus(.resourceExhausted) {
      _ = try await service.unaryCall(tooLarge, options: Self.options())
    }
    _ = try await service.emptyCall(GRPCTesting.Empty(), options: Self.options())
  }

  /// More calls at once than a connection has streams are queued, and none fails (WIRE W57).
  func manyCalls() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for size in 0..<400 {
        group.addTask {
          var request = GRPCTesting.SimpleRequest()
          request.responseSize = Int32(size * 10)
          request.payload = .zeros(size * 10)
          let response = try await service.unaryCall(request, options: Self.options())
          try expectZeros(response.payload, size * 10)
        }
      }
      try await group.waitForAll()
    }
  }

  /// A stream whose responses are not taken holds up neither the connection nor, once it is left, anything else
  /// (WIRE, section 1, 4).
  func abandonedStreams() async throws {
    var request = GRPCTesting.StreamingOutputCallRequest()
    request.responseParameters = Array(repeating: .size(1024 * 1024), count: 4)
    for _ in 0..<20 {
      try await service.streamingOutputCall(request, options: Self.options()) { stream in
        var messages = stream.messages.makeAsyncIterator()
        try expectZeros(try await messages.next()?.payload, 1024 * 1024)
        _ = try await service.emptyCall(GRPCTesting.Empty(), options: Self.options())
      }
    }
    try expectZeros(try await service.unaryCall(.large, options: Self.options()).payload, Self.largeResponse)
  }
}
