import RPC
import RPCServer
import Synchronization
import Testing

@Suite("A server's interceptors")
struct InterceptorTests {
  final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
  }

  struct Named: ServerInterceptor {
    var name: String
    var log: Log
    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      log.add("\(name) in \(context.path)")
      try await next()
      log.add("\(name) out")
    }
  }

  struct Refusing: ServerInterceptor {
    var afterHandler: Bool
    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      if afterHandler { try await next() }
      throw RPCError(.permissionDenied, "No.")
    }
  }

  struct Hopping: ServerInterceptor {
    actor Elsewhere { func visit() {} }
    let elsewhere = Elsewhere()
    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      await elsewhere.visit()
      try await next()
      await elsewhere.visit()
    }
  }

  /// Says at the end of a call what its messages weighed.
  struct Weighing: ServerInterceptor {
    var log: Log
    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      try await next()
      log.add("\(context.receivedMessageBytes) in, \(context.sentMessageBytes) out")
    }
  }

  @Test("messages count as they travel: compressed, without prefixes", arguments: ["Unary", "Pull", "Push", "Both"])
  func sizes(method: String) async throws {
    let log = Log()
    let harness = try await ServerHarness(interceptors: [Weighing(log: log)])
    let bytes = [UInt8](repeating: 7, count: 2000)
    let body = try CompressionTests.compressed(bytes, "gzip")
    let reply = try await harness.call(
      ServerHarness.request(method, [("grpc-encoding", "gzip")]), ServerHarness.framed(body, flag: 1))
    #expect(reply.messages.flatMap(\.self) == bytes)
    #expect(log.all == ["\(body.count) in, 2000 out"])
  }

  @Test("the first is the outermost, and all see the path that was routed")
  func order() async throws {
    let log = Log()
    let harness = try await ServerHarness(interceptors: [Named(name: "a", log: log), Named(name: "b", log: log)])
    _ = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([]))
    #expect(log.all == ["a in /test.Test/Unary", "b in /test.Test/Unary", "b out", "a out"])
  }

  @Test("a refusal is the call's status, and a response that was made already is not sent", arguments: [false, true])
  func refusal(afterHandler: Bool) async throws {
    let harness = try await ServerHarness(interceptors: [Refusing(afterHandler: afterHandler)])
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    #expect(reply.status == "7")
    #expect(reply.body.isEmpty)
    #expect(reply.isTrailersOnly)
  }

  @Test("one that waits elsewhere gives the same answers", arguments: ["Unary", "Pull", "Push", "Both"])
  func waits(method: String) async throws {
    let harness = try await ServerHarness(interceptors: [Hopping()])
    let stream = harness.open(ServerHarness.request(method))
    stream.outbound.writeBytes(ServerHarness.framed([1]))
    harness.client.finishRequest(stream)
    try await harness.exchange()
    let reply = try await harness.waitForEnd(of: 1)
    #expect(reply.messages == [[1]])
    #expect(reply.status == "0")
  }
}
