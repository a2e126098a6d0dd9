import EchoTestSupport
import InProcess
import NIOCore
import RPC
import RPCClient
import RPCServer
import Synchronization
import Testing

/// Interceptors around the calls of the real client, against the real server, in memory.
@Suite("A client's interceptors", .timeLimit(.minutes(5))) struct ClientInterceptorTests {
  final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
  }

  /// Does what a test says.
  struct Doing: ClientInterceptor {
    var body: @Sendable (ClientContext, () async throws -> Void) async throws -> Void
    func intercept(_ context: ClientContext, next: () async throws -> Void) async throws {
      try await body(context, next)
    }
  }

  struct Named: ClientInterceptor, ServerInterceptor {
    var name: String
    var log: Log

    func intercept(_ context: ClientContext, next: () async throws -> Void) async throws {
      log.add("\(name) in \(context.path)")
      try await next()
      log.add("\(name) out \(context.code.map { "\($0)" } ?? "open")")
    }

    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      log.add("\(name) in")
      try await next()
      log.add("\(name) out")
    }
  }

  private struct ReadersError: Error {}

  private static let kinds: [MethodKind] = [.unary, .clientStreaming, .serverStreaming, .bidirectionalStreaming]

  /// A service whose four methods do the same: tell the request's metadata to `see`, set the trailer `x-last`, answer.
  private static func service(
    _ see: @escaping @Sendable (ServerContext) throws -> Void = { _ in }
  ) -> EchoService {
    let plain = EchoService()
    @Sendable func enter(_ context: ServerContext) throws {
      context.initialMetadata.add("1", for: "x-first")
      context.trailingMetadata.add("2", for: "x-last")
      try see(context)
    }
    var service = plain
    service.onUnary = { request, context in
      try enter(context)
      return request
    }
    service.onCollect = { requests, context in
      try enter(context)
      return try await plain.onCollect(requests, context)
    }
    service.onExpand = { request, response, context in
      try enter(context)
      try await plain.onExpand(request, response, context)
    }
    service.onChat = { requests, response, context in
      try enter(context)
      try await plain.onChat(requests, response, context)
    }
    return service
  }

  /// One call of the kind; what was answered, or the status.
  private func call(
    _ kind: MethodKind, _ channel: any RPCChannel, _ options: CallOptions = .init()
  ) async -> Result<[String], any Error> {
    let write: @Sendable (RequestWriter<Text>) async throws -> Void = { try await $0.write("hi") }
    let read: @Sendable (ClientStream<Text>) async throws -> [String] = { stream in
      var words: [String] = []
      for try await word in stream.messages { words.append(word.value) }
      return words
    }
    do {
      return switch kind {
      case .unary: .success([try await channel.unary(EchoService.unary, "hi", options: options).message.value])
      case .clientStreaming:
        .success([
          try await channel.clientStreaming(EchoService.collect, options: options, requests: write).message.value
        ])
      case .serverStreaming:
        .success(try await channel.serverStreaming(EchoService.expand, "hi", options: options, body: read))
      case .bidirectionalStreaming:
        .success(
          try await channel.bidirectionalStreaming(EchoService.chat, options: options, requests: write, body: read))
      }
    } catch {
      return .failure(error)
    }
  }

  private func withChannel<Result>(
    _ interceptors: [any ClientInterceptor], to service: EchoService = service(),
    server: [any ServerInterceptor] = [], client: RPCClientConfiguration = .init(),
    _ body: (any RPCChannel) async throws -> Result
  ) async rethrows -> Result {
    let server = InProcessServer(services: [service], interceptors: server, client: client)
    do {
      let result = try await body(server.channel.intercepted(by: interceptors))
      await server.close()
      return result
    } catch {
      await server.close()
      throw error
    }
  }

  @Test("one order on both sides: the first is the outermost, sees the call first and its end last", arguments: kinds)
  func order(kind: MethodKind) async throws {
    let (client, server) = (Log(), Log())
    let answer = await withChannel(
      [Named(name: "a", log: client), Named(name: "b", log: client)],
      server: [Named(name: "c", log: server), Named(name: "d", log: server)]
    ) { await call(kind, $0) }
    #expect(try !answer.get().isEmpty)
    let path = try #require(client.all.first?.split(separator: " ").last)
    #expect(client.all == ["a in \(path)", "b in \(path)", "b out OK", "a out OK"])
    #expect(server.all == ["c in", "d in", "d out", "c out"])
  }

  @Test("metadata and deadline are what the interceptors make of them", arguments: kinds)
  func options(kind: MethodKind) async throws {
    let log = Log()
    let service = Self.service { context in
      log.add(context.requestMetadata["x-in"] ?? "none")
      log.add(context.deadline == nil ? "no deadline" : "deadline")
    }
    let outer = Doing { context, next in
      context.options.metadata.set("outer", for: "x-in")
      context.options.deadline = .now() + .seconds(50)
      try await next()
    }
    let inner = Doing { context, next in
      context.options.metadata.set((context.options.metadata["x-in"] ?? "") + "+inner", for: "x-in")
      try await next()
    }
    let answer = await withChannel([outer, inner], to: service) {
      await call(kind, $0, CallOptions(metadata: ["x-in": "caller"]))
    }
    #expect(throws: Never.self) { try answer.get() }
    #expect(log.all == ["outer+inner", "deadline"])
  }

  @Test("they see how a call ended, with the metadata before and after", arguments: kinds)
  func end(kind: MethodKind) async throws {
    let log = Log()
    let seeing = Doing { context, next in
      try await next()
      log.add("\(context.code?.description ?? "open") \(context.failure == nil)")
      log.add("\(context.initialMetadata["x-first"] ?? "-") \(context.trailingMetadata["x-last"] ?? "-")")
    }
    let answer = await withChannel([seeing]) { await call(kind, $0) }
    #expect(throws: Never.self) { try answer.get() }
    #expect(log.all == ["OK true", "1 2"])
  }

  @Test("a status that is not OK is what next throws, and the caller gets", arguments: kinds)
  func failure(kind: MethodKind) async throws {
    let log = Log()
    let seeing = Doing { context, next in
      do { try await next() } catch {
        log.add("\((error as? RPCError)?.message ?? "other")")
        log.add("\(context.code?.description ?? "open") \(context.failure?.message ?? "none")")
        log.add(context.trailingMetadata["x-last"] ?? "-")
        throw error
      }
    }
    let service = Self.service { _ in throw RPCError(.failedPrecondition, "busy") }
    let answer = await withChannel([seeing], to: service) { await call(kind, $0) }
    #expect(throws: RPCError.self) { try answer.get() }
    #expect(log.all == ["busy", "FAILED_PRECONDITION busy", "2"])
  }

  @Test("the reader's own doings are not the call's status: leaving early is CANCELLED", arguments: [false, true])
  func leaving(throwing: Bool) async throws {
    let log = Log()
    let seeing = Doing { context, next in
      defer { log.add(context.code?.description ?? "open") }
      try await next()
    }
    let words = await withChannel([seeing]) { channel in
      try? await channel.serverStreaming(EchoService.expand, "a b c", options: .init()) { stream in
        if throwing { throw ReadersError() }
        var messages = stream.messages.makeAsyncIterator()
        return try await messages.next()?.value
      }
    }
    #expect(words == (throwing ? nil : "a"))
    #expect(log.all == ["CANCELLED"])
  }

  @Test("a status that the reader of a stream keeps to itself is seen all the same")
  func keptByReader() async throws {
    let log = Log()
    let service = Self.service { _ in throw RPCError(.aborted, "later") }
    try await withChannel([Named(name: "a", log: log)], to: service) { channel in
      try await channel.serverStreaming(EchoService.expand, "a", options: .init()) { stream in
        do { for try await _ in stream.messages {} } catch {}
      }
    }
    #expect(log.all.last == "a out ABORTED")
  }

  @Test("attempts are inside: an interceptor runs once for a call that is repeated")
  func retries() async throws {
    let attempts = Counter()
    let service = Self.service { _ in
      if attempts.increment() < 3 { throw RPCError(.unavailable, "not yet") }
    }
    let log = Log()
    var client = RPCClientConfiguration()
    client.retryPolicy = try RetryPolicy(
      maxAttempts: 4, initialBackoff: .milliseconds(1), maxBackoff: .milliseconds(1), retryableCodes: [.unavailable])
    let answer = await withChannel([Named(name: "a", log: log)], to: service, client: client) { await call(.unary, $0) }
    #expect(try answer.get() == ["hi"])
    #expect(attempts.value == 3)
    #expect(log.all == ["a in /test.Echo/Unary", "a out OK"])
  }

  @Test("a call that is refused does not leave the client", arguments: kinds)
  func refusal(kind: MethodKind) async throws {
    let calls = Counter()
    let (log, service) = (Log(), Self.service { _ in calls.increment() })
    let refusing = Doing { _, _ in throw RPCError(.permissionDenied, "No.") }
    let answer = await withChannel([Named(name: "a", log: log), refusing], to: service) { await call(kind, $0) }
    let error = #expect(throws: RPCError.self) { try answer.get() }
    #expect(error?.code == .permissionDenied)
    #expect(calls.value == 0)
    #expect(log.all.count == 1)
  }

  @Test("an error thrown after the call takes the place of its result", arguments: kinds)
  func replaced(kind: MethodKind) async throws {
    let replacing = Doing { _, next in
      try await next()
      throw RPCError(.dataLoss, "Not what was asked for.")
    }
    let answer = await withChannel([replacing]) { await call(kind, $0) }
    let error = #expect(throws: RPCError.self) { try answer.get() }
    #expect(error?.code == .dataLoss)
  }

  @Test("an error that is no status is UNKNOWN where the call promises a status, its text kept to the cause")
  func foreignError() async throws {
    let answer = await withChannel([Doing { _, _ in throw ReadersError() }]) { await call(.unary, $0) }
    let error = #expect(throws: RPCError.self) { try answer.get() }
    #expect(error?.code == .unknown)
    #expect(error?.cause is ReadersError)
  }

  @Test("a failure cannot be kept from the caller", arguments: kinds)
  func kept(kind: MethodKind) async throws {
    let service = Self.service { _ in throw RPCError(.aborted, "later") }
    let answer = await withChannel([Doing { _, next in try? await next() }], to: service) { await call(kind, $0) }
    let error = #expect(throws: RPCError.self) { try answer.get() }
    #expect(error?.code == .aborted)
  }

  @Test("next is called once: neither twice nor not at all", arguments: [0, 2])
  func count(times: Int) async throws {
    let calls = Counter()
    let service = Self.service { _ in calls.increment() }
    let wrong = Doing { _, next in for _ in 0..<times { try await next() } }
    let answer = await withChannel([wrong], to: service) { await call(.unary, $0) }
    let error = #expect(throws: RPCError.self) { try answer.get() }
    #expect(error?.code == .internal)
    #expect(calls.value == min(times, 1))
  }

  @Test("without interceptors the channel is the channel itself")
  func none() async {
    let server = InProcessServer(services: [EchoService()])
    #expect(server.channel.intercepted(by: []) as? RPCClientChannel === server.channel)
    await server.close()
  }
}
