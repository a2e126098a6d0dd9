import EchoTestSupport
import InProcess
import NIOCore
import RPC
import RPCClient
import RPCServer
import Testing

/// How calls end before their time: deadline, cancellation, lost connections, drains; and what is repeated.
@Suite(.timeLimit(.minutes(5))) struct CallEndTests {
  private func error(_ body: () async throws -> Void) async -> RPCError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? RPCError
    }
  }

  /// A service whose unary handler says that it began, and then waits until it is cancelled; but answers "ready".
  private func hanging(began: Signal, ended: Signal) -> EchoService {
    var service = EchoService()
    service.onUnary = { request, _ in
      guard request.value != "ready" else { return request }
      began.send()
      await Signal().wait()
      ended.send()
      try Task.checkCancellation()
      return request
    }
    return service
  }

  // MARK: Deadline and cancellation

  @Test("the deadline ends a call on both sides, and reaches the handler (W10, W40)")
  func deadline() async throws {
    let (began, ended) = (Signal(), Signal())
    let server = InProcessServer(services: [hanging(began: began, ended: ended)])
    // With a connection that is there, the deadline leaves the handler time to begin.
    _ = try await server.channel.unary(EchoService.unary, "ready", options: CallOptions())
    let start = NIODeadline.now()
    let error = await error {
      _ = try await server.channel.unary(
        EchoService.unary, "", options: CallOptions(deadline: start + .seconds(1)))
    }
    #expect(error?.code == .deadlineExceeded)
    #expect(NIODeadline.now() - start >= .seconds(1))
    await ended.wait()
    await server.close()
  }

  @Test("a deadline that has passed opens no stream (W10)")
  func elapsed() async throws {
    let called = Counter()
    var service = EchoService()
    service.onUnary = { request, _ in
      called.increment()
      return request
    }
    let server = InProcessServer(services: [service])
    let error = await error {
      _ = try await server.channel.unary(EchoService.unary, "", options: CallOptions(deadline: .now()))
    }
    #expect(error?.code == .deadlineExceeded)
    #expect(called.value == 0)
    #expect(server.transport.connectionCount == 0)
    await server.close()
  }

  @Test("the handler sees the caller's deadline")
  func propagated() async throws {
    var service = EchoService()
    service.onUnary = { _, context in
      let left = context.deadline.map { $0 - .now() } ?? .zero
      return left > .seconds(3000) && left <= .seconds(3600) ? "right" : "wrong"
    }
    let server = InProcessServer(services: [service])
    let response = try await server.channel.unary(
      EchoService.unary, "", options: CallOptions(deadline: .now() + .hours(1)))
    #expect(response.message == "right")
    await server.close()
  }

  @Test("cancelling the caller's task cancels the handler (W40)")
  func cancelled() async throws {
    let (began, ended) = (Signal(), Signal())
    let server = InProcessServer(services: [hanging(began: began, ended: ended)])
    let call = Task { try await server.channel.unary(EchoService.unary, "", options: .init()) }
    await began.wait()
    call.cancel()
    let error = await error { _ = try await call.value }
    #expect(error?.code == .cancelled)
    await ended.wait()
    await server.close()
  }

  @Test("leaving a stream's body early cancels the handler")
  func leaving() async throws {
    let ended = Signal()
    var service = EchoService()
    service.onExpand = { _, response, _ in
      defer { ended.send() }
      while true { try await response.write("again") }
    }
    let server = InProcessServer(services: [service])
    let first = try await server.channel.serverStreaming(EchoService.expand, "", options: .init()) { stream in
      var messages = stream.messages.makeAsyncIterator()
      return try await messages.next()
    }
    #expect(first == "again")
    await ended.wait()
    await server.close()
  }

  @Test("ten thousand cancelled calls in a row do not cost the connection")
  func manyCancelled() async throws {
    let server = InProcessServer(services: [EchoService()])
    for _ in 0..<10_000 {
      try await server.channel.bidirectionalStreaming(EchoService.chat, options: .init()) { writer in
        try await writer.write("x")
      } body: { _ in
      }
    }
    let response = try await server.channel.unary(EchoService.unary, "ok", options: .init())
    #expect(response.message == "ok")
    #expect(server.transport.connectionCount == 1)
    await server.close()
  }

  // MARK: Backpressure

  @Test("a server that writes without end is held back by a client that does not read")
  func backpressureOfResponses() async throws {
    let written = Counter()
    var service = EchoService()
    let chunk = Text(String(repeating: "x", count: 10_000))
    service.onExpand = { _, response, _ in
      for _ in 0..<1_000 {
        try await response.write(chunk)
        written.increment()
      }
    }
    let server = InProcessServer(services: [service])
    try await server.channel.serverStreaming(EchoService.expand, "", options: .init()) { stream in
      var messages = stream.messages.makeAsyncIterator()
      _ = try await messages.next()
      // A call that goes both ways on the same connection gives the stream all the time it needs to fill its windows.
      for _ in 0..<200 { _ = try await server.channel.unary(EchoService.unary, "tick", options: .init()) }
      #expect(written.value < 100)
      var count = 1
      while try await messages.next() != nil { count += 1 }
      #expect(count == 1_000)
    }
    await server.close()
  }

  @Test("a cancelled task of a handler waits neither for room nor for a message")
  func cancelledWriter() async throws {
    let ended = Signal()
    var service = EchoService()
    let chunk = Text(String(repeating: "x", count: 10_000))
    service.onChat = { requests, response, _ in
      let writing = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        while true { try await response.write(chunk) }
      }
      let reading = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        for try await _ in requests {}
      }
      for task in [writing, reading] {
        await #expect(throws: CancellationError.self) { try await task.value }
      }
      ended.send()
    }
    let server = InProcessServer(services: [service])
    try await server.channel.bidirectionalStreaming(EchoService.chat, options: .init()) { _ in
      await ended.wait()
    } body: { stream in
      await ended.wait()
      for try await _ in stream.messages {}
    }
    await server.close()
  }

  @Test("a client that writes without end is held back by a handler that does not read")
  func backpressureOfRequests() async throws {
    let written = Counter()
    let (filled, go) = (Signal(), Signal())
    var service = EchoService()
    service.onCollect = { requests, _ in
      await go.wait()
      var count = 0
      for try await _ in requests { count += 1 }
      return Text("\(count)")
    }
    let server = InProcessServer(services: [service])
    let chunk = Text(String(repeating: "x", count: 10_000))
    async let response = server.channel.clientStreaming(EchoService.collect, options: .init()) { writer in
      for _ in 0..<1_000 {
        try await writer.write(chunk)
        if written.increment() == 20 { filled.send() }
      }
    }
    await filled.wait()
    for _ in 0..<200 { _ = try await server.channel.unary(EchoService.unary, "tick", options: .init()) }
    #expect(written.value < 200)
    go.send()
    #expect(try await response.message == "1000")
    await server.close()
  }

  // MARK: Connections

  @Test("calls above the server's stream limit wait instead of failing (W57)")
  func streamLimit() async throws {
    var configuration = RPCServerConfiguration()
    configuration.http2.maxConcurrentStreams = 2
    let (running, most) = (Counter(), Counter())
    var service = EchoService()
    service.onUnary = { request, _ in
      running.increment()
      await Task.yield()
      most.increment()
      return request
    }
    let server = InProcessServer(services: [service], configuration: configuration)
    try await withThrowingTaskGroup(of: Text.self) { group in
      for index in 0..<50 {
        group.addTask {
          try await server.channel.unary(EchoService.unary, Text("\(index)"), options: .init()).message
        }
      }
      var answers: Set<Text> = []
      for try await answer in group { answers.insert(answer) }
      #expect(answers.count == 50)
    }
    await server.close()
  }

  @Test("a lost connection fails the calls on it with UNAVAILABLE, and the next call connects anew")
  func lost() async throws {
    let (began, ended) = (Signal(), Signal())
    let server = InProcessServer(services: [hanging(began: began, ended: ended)])
    let call = Task { try await server.channel.unary(EchoService.unary, "", options: .init()) }
    await began.wait()
    server.transport.sever()
    let error = await error { _ = try await call.value }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("in-process") == true)
    await ended.wait()
    let response = try await server.channel.clientStreaming(EchoService.collect, options: .init()) { writer in
      try await writer.write("back")
    }
    #expect(response.message == "back")
    await server.close()
  }

  @Test("without a server calls fail at once and say why; those that wait for ready are served later (W51)")
  func unreachable() async throws {
    var client = RPCClientConfiguration()
    client.backoff.initial = .milliseconds(20)
    let server = InProcessServer(services: [EchoService()], client: client)
    server.transport.isAccepting = false
    let error = await error { _ = try await server.channel.unary(EchoService.unary, "", options: .init()) }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("in-process: connecting: the server does not accept connections") == true)

    let waiting = Task {
      try await server.channel.unary(EchoService.unary, "late", options: CallOptions(waitForReady: true))
    }
    let hopeless = await self.error {
      _ = try await server.channel.unary(
        EchoService.unary, "", options: CallOptions(deadline: .now() + .milliseconds(50), waitForReady: true))
    }
    #expect(hopeless?.code == .deadlineExceeded)
    #expect(hopeless?.message.contains("does not accept connections") == true)
    server.transport.isAccepting = true
    #expect(try await waiting.value.message == "late")
    await server.close()
  }

  @Test("calls survive a server's drain: those open end, new ones find a new connection (W43, W45)")
  func drain() async throws {
    let (began, go) = (Signal(), Signal())
    var service = EchoService()
    service.onUnary = { request, _ in
      if request == "slow" {
        began.send()
        await go.wait()
      }
      return request
    }
    let server = InProcessServer(services: [service])
    let slow = Task { try await server.channel.unary(EchoService.unary, "slow", options: .init()) }
    await began.wait()
    server.transport.drain(grace: .seconds(30))
    for index in 0..<100 {
      let response = try await server.channel.unary(EchoService.unary, Text("\(index)"), options: .init())
      #expect(response.message == Text("\(index)"))
    }
    go.send()
    #expect(try await slow.value.message == "slow")
    await server.close()
  }

  @Test("a closed channel takes no calls; those under way may end within the grace")
  func closing() async throws {
    let (began, go) = (Signal(), Signal())
    var service = EchoService()
    service.onUnary = { request, _ in
      began.send()
      await go.wait()
      return request
    }
    let server = InProcessServer(services: [service])
    let channel = server.makeChannel()
    let call = Task { try await channel.unary(EchoService.unary, "last", options: .init()) }
    await began.wait()
    let closed = Task { await channel.close(grace: .seconds(30)) }
    // Refused as soon as the close began.
    while await error({ _ = try await channel.clientStreaming(EchoService.collect, options: .init()) { _ in } }) == nil
    {}
    go.send()
    #expect(try await call.value.message == "last")
    await closed.value
    await server.close()
  }

  // MARK: Retries

  @Test("a retryable status is tried again by policy, with the number of attempts told (W54)")
  func retries() async throws {
    var client = RPCClientConfiguration()
    client.retryPolicy = try RetryPolicy(maxAttempts: 3, initialBackoff: .milliseconds(1))
    let attempts = Counter()
    var service = EchoService()
    service.onUnary = { request, _ in
      guard attempts.increment() == 3 else { throw RPCError(.unavailable, "not yet") }
      return request
    }
    let server = InProcessServer(services: [service], client: client)
    let response = try await server.channel.unary(EchoService.unary, "x", options: .init())
    #expect(response.message == "x")
    #expect(attempts.value == 3)
    await server.close()
  }

  @Test("a streamed request is repeated whole, as long as nothing of the response came (W54)")
  func retryOfStream() async throws {
    var client = RPCClientConfiguration()
    client.retryPolicy = try RetryPolicy(maxAttempts: 2, initialBackoff: .milliseconds(1))
    let attempts = Counter()
    var service = EchoService()
    service.onCollect = { requests, _ in
      var words: [String] = []
      for try await request in requests { words.append(request.value) }
      guard attempts.increment() == 2 else { throw RPCError(.unavailable, "again") }
      return Text(words.joined(separator: " "))
    }
    let server = InProcessServer(services: [service], client: client)
    let response = try await server.channel.clientStreaming(EchoService.collect, options: .init()) { writer in
      for word in ["a", "b", "c"] { try await writer.write(Text(word)) }
    }
    #expect(response.message == "a b c")
    await server.close()
  }

  @Test("after the first message there is no retry; without a policy there is none at all")
  func noRetry() async throws {
    var client = RPCClientConfiguration()
    client.retryPolicy = try RetryPolicy(maxAttempts: 3, initialBackoff: .milliseconds(1))
    let attempts = Counter()
    var service = EchoService()
    service.onExpand = { _, response, _ in
      attempts.increment()
      try await response.write("first")
      throw RPCError(.unavailable, "broke")
    }
    let server = InProcessServer(services: [service], client: client)
    for channel in [server.channel, server.makeChannel()] {
      let error = await error {
        try await channel.serverStreaming(EchoService.expand, "", options: .init()) { stream in
          for try await message in stream.messages { #expect(message == "first") }
        }
      }
      #expect(error?.code == .unavailable)
    }
    #expect(attempts.value == 2)
    await server.close()
  }
}
