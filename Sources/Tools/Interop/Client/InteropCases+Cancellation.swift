internal import InteropProtos
internal import NIOCore
internal import RPC

/// The cases that end a call before its time.
extension InteropCases {
  func cancelAfterBegin() async throws {
    // A connection that stands already, so that the request's headers leave before the cancellation.
    _ = try await service.emptyCall(GRPCTesting.Empty(), options: Self.options())
    let (begun, begin) = AsyncStream.makeStream(of: Void.self)
    let call = Task {
      try await service.streamingInputCall(options: Self.options()) { _ in
        begin.finish()
        try await untilCancelled()
      }
    }
    for await _ in begun {}
    call.cancel()
    try await expectStatus(.cancelled) { _ = try await call.value }
  }

  func cancelAfterFirstResponse() async throws {
    let (answered, answer) = AsyncStream.makeStream(of: Void.self)
    let call = Task {
      try await service.fullDuplexCall(options: Self.options()) { writer in
        try await writer.write(.asking(for: 31_415, with: 27_182))
        try await untilCancelled()
      } body: { stream in
        for try await response in stream.messages {
          try expectZeros(response.payload, 31_415)
          answer.finish()
        }
      }
    }
    // Also over if the call fails before it is answered.
    async let outcome: Void = expectStatus(.cancelled) {
      defer { answer.finish() }
      try await call.value
    }
    for await _ in answered {}
    call.cancel()
    try await outcome
  }

  func timeoutOnSleepingServer() async throws {
    // A connection that stands already, so that the time is not spent on making it.
    _ = try await service.emptyCall(GRPCTesting.Empty(), options: Self.options())
    try await expectStatus(.deadlineExceeded) {
      try await service.fullDuplexCall(options: CallOptions(deadline: .now() + .milliseconds(1))) { writer in
        var request = GRPCTesting.StreamingOutputCallRequest()
        request.payload = .zeros(27_182)
        try await writer.write(request)
        try await untilCancelled()
      } body: { stream in
        for try await _ in stream.messages {}
      }
    }
  }

  /// Waits until the task is cancelled, and throws then: a request is neither continued nor half-closed.
  private func untilCancelled() async throws {
    let (never, _) = AsyncStream.makeStream(of: Void.self)
    for await _ in never {}
    throw CancellationError()
  }
}
