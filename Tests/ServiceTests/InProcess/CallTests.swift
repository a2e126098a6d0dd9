import EchoTestSupport
import InProcess
import NIOCore
import RPC
import RPCClient
import RPCServer
import Testing

/// The four kinds of calls, between the real client and the real server, in memory.
@Suite(.timeLimit(.minutes(5))) struct CallTests {
  private func withServer<Result>(
    _ service: EchoService = EchoService(), interceptors: [any ServerInterceptor] = [],
    client: RPCClientConfiguration = .init(), _ body: (InProcessServer) async throws -> Result
  ) async throws -> Result {
    let server = InProcessServer(services: [service], interceptors: interceptors, client: client)
    do {
      let result = try await body(server)
      await server.close()
      return result
    } catch {
      await server.close()
      throw error
    }
  }

  private func error(_ body: () async throws -> Void) async -> RPCError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? RPCError
    }
  }

  // MARK: Four kinds

  @Test("a unary call, with metadata both ways")
  func unary() async throws {
    var service = EchoService()
    service.onUnary = { request, context in
      context.initialMetadata.add(context.requestMetadata["x-in"] ?? "none", for: "x-first")
      context.trailingMetadata.add(.binary([0, 255]), for: "x-last-bin")
      return Text("<" + request.value + ">")
    }
    try await withServer(service) { server in
      let response = try await server.channel.unary(
        EchoService.unary, "hi", options: CallOptions(metadata: ["x-in": "yes"]))
      #expect(response.message == "<hi>")
      #expect(response.initialMetadata["x-first"] == "yes")
      #expect(response.trailingMetadata[binary: "x-last-bin"] == [0, 255])
    }
  }

  @Test(
    "W11: the user agent says grpc-<language>/<version>, behind the application's own", arguments: [nil, "portal/2"])
  func userAgent(prefix: String?) async throws {
    var service = EchoService()
    service.onUnary = { _, context in Text(context.requestMetadata["user-agent"] ?? "none") }
    var client = RPCClientConfiguration()
    client.userAgentPrefix = prefix
    let agent = try await withServer(service, client: client) { server in
      try await server.channel.unary(EchoService.unary, "", options: CallOptions()).message.value
    }
    #expect(agent.hasPrefix(prefix.map { $0 + " grpc-swift-" } ?? "grpc-swift-"))
    #expect(agent.contains("/"))
  }

  @Test("a status with its message and metadata comes back as it was thrown")
  func failure() async throws {
    var service = EchoService()
    service.onUnary = { _, _ in
      throw RPCError(.failedPrecondition, "not é %now ", metadata: ["x-why": "because"])
    }
    try await withServer(service) { server in
      let error = await error { _ = try await server.channel.unary(EchoService.unary, "hi", options: .init()) }
      #expect(error?.code == .failedPrecondition)
      #expect(error?.message == "not é %now ")
      #expect(error?.metadata["x-why"] == "because")
    }
  }

  @Test("a message of many frames travels whole, both ways")
  func large() async throws {
    try await withServer { server in
      let text = Text(String(repeating: "0123456789abcdef", count: 200_000))
      let response = try await server.channel.unary(EchoService.unary, text, options: .init())
      #expect(response.message == text)
    }
  }

  @Test("client streaming")
  func clientStreaming() async throws {
    try await withServer { server in
      let response = try await server.channel.clientStreaming(EchoService.collect, options: .init()) { writer in
        for word in ["a", "b", "c"] { try await writer.write(Text(word)) }
      }
      #expect(response.message == "a b c")
      let empty = try await server.channel.clientStreaming(EchoService.collect, options: .init()) { _ in }
      #expect(empty.message == "")
    }
  }

  @Test("server streaming")
  func serverStreaming() async throws {
    try await withServer { server in
      let words = try await server.channel.serverStreaming(EchoService.expand, "a b c", options: .init()) { stream in
        _ = try await stream.initialMetadata
        var words: [Text] = []
        for try await word in stream.messages { words.append(word) }
        return words
      }
      #expect(words == ["a", "b", "c"])
    }
  }

  @Test("bidirectional streaming, message by message")
  func bidirectional() async throws {
    try await withServer { server in
      let (answers, answered) = AsyncStream.makeStream(of: Void.self)
      let replies = try await server.channel.bidirectionalStreaming(EchoService.chat, options: .init()) { writer in
        var turns = answers.makeAsyncIterator()
        for word in ["one", "two", "three"] {
          try await writer.write(Text(word))
          _ = await turns.next()  // Not before the answer came.
        }
      } body: { stream in
        var replies: [Text] = []
        for try await reply in stream.messages {
          replies.append(reply)
          answered.yield()
        }
        return replies
      }
      #expect(replies == ["ONE", "TWO", "THREE"])
    }
  }

  @Test("an early status ends the call while the client still writes (W38, W39)")
  func earlyStatus() async throws {
    var service = EchoService()
    service.onCollect = { _, _ in throw RPCError(.permissionDenied, "enough") }
    try await withServer(service) { server in
      let error = await error {
        _ = try await server.channel.clientStreaming(EchoService.collect, options: .init()) { writer in
          while true { try await writer.write("more") }
        }
      }
      #expect(error?.code == .permissionDenied)
      let again = try await server.channel.unary(EchoService.unary, "still there", options: .init())
      #expect(again.message == "still there")
    }
  }

  @Test("what the writer throws cancels the call and is its cause")
  func writerFails() async throws {
    struct Broken: Error {}
    try await withServer { server in
      let error = await error {
        _ = try await server.channel.clientStreaming(EchoService.collect, options: .init()) { _ in throw Broken() }
      }
      #expect(error?.code == .cancelled)
      #expect(error?.cause is Broken)
    }
  }

  @Test("an unknown method is UNIMPLEMENTED, illegal metadata INTERNAL")
  func unknown() async throws {
    try await withServer { server in
      let method = MethodDescriptor<Text, Text>(service: "test.Echo", name: "Nothing", kind: .unary)
      let unknown = await error { _ = try await server.channel.unary(method, "", options: .init()) }
      #expect(unknown?.code == .unimplemented)
      let illegal = await error {
        _ = try await server.channel.unary(
          EchoService.unary, "", options: CallOptions(metadata: ["grpc-reserved": "x"]))
      }
      #expect(illegal?.code == .internal)
    }
  }

  @Test("interceptors run, and may refuse")
  func interceptor() async throws {
    struct Refusing: ServerInterceptor {
      func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
        guard context.requestMetadata["x-key"] == "open" else { throw RPCError(.unauthenticated, "no key") }
        try await next()
      }
    }
    try await withServer(interceptors: [Refusing()]) { server in
      let refused = await error { _ = try await server.channel.unary(EchoService.unary, "", options: .init()) }
      #expect(refused?.code == .unauthenticated)
      let allowed = try await server.channel.unary(
        EchoService.unary, "x", options: CallOptions(metadata: ["x-key": "open"]))
      #expect(allowed.message == "x")
    }
  }

  @Test("many calls at once share one connection")
  func concurrent() async throws {
    try await withServer { server in
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for index in 0..<300 {
          group.addTask {
            let text = Text("call \(index)")
            return try await server.channel.unary(EchoService.unary, text, options: .init()).message == text
          }
        }
        for try await isRight in group { #expect(isRight) }
      }
      #expect(server.transport.connectionCount == 1)
    }
  }

  // MARK: Limits

  @Test("message limits hold on both sides of the client: n passes, n + 1 does not (W22)")
  func limits() async throws {
    var client = RPCClientConfiguration()
    client.maxSendMessageLength = 4
    client.maxReceiveMessageLength = 6
    var service = EchoService()
    service.onUnary = { request, _ in Text(request.value + request.value.suffix(3)) }
    try await withServer(service, client: client) { server in
      let fits = try await server.channel.unary(EchoService.unary, "123", options: .init())
      #expect(fits.message == "123123")
      let send = await error { _ = try await server.channel.unary(EchoService.unary, "12345", options: .init()) }
      #expect(send?.code == .resourceExhausted)
      #expect(send?.message.contains("maxSendMessageLength") == true)
      let receive = await error { _ = try await server.channel.unary(EchoService.unary, "1234", options: .init()) }
      #expect(receive?.code == .resourceExhausted)
      #expect(receive?.message.contains("maxReceiveMessageLength") == true)
    }
  }
}
