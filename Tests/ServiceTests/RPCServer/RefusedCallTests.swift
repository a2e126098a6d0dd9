import NIOCore
import RPC
import RPCServer
import Synchronization
import Testing

@Suite("Calls that the runtime refuses")
struct RefusedCallTests {
  /// Sees every call, as the log and the correlation id do.
  struct Observer: ServerInterceptor {
    let lines: InterceptorTests.Log
    var seesRefusedCalls: Bool { true }

    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      context.trailingMetadata.set(context.requestMetadata["x-id"] ?? "made", for: "x-id")
      do {
        try await next()
      } catch {
        lines.add("\(context.path) \(RPCError(wrapping: error).code)")
        throw error
      }
    }
  }

  /// Does not, as authentication does not: it must not hide why the call was refused.
  struct Guard: ServerInterceptor {
    func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
      throw RPCError(.unauthenticated, "Who?")
    }
  }

  static func refused(
    _ headers: HeaderFields, _ body: [UInt8] = ServerHarness.framed([])
  ) async throws -> (reply: Reply, lines: [String]) {
    var configuration = RPCServerConfiguration()
    configuration.maxMessageLength = 10
    let log = InterceptorTests.Log()
    let harness = try await ServerHarness(
      configuration: configuration, interceptors: [Observer(lines: log), Guard()])
    return (try await harness.call(headers, body), log.all)
  }

  @Test(
    "each has its line in the log and its id in the answer",
    arguments: [
      (ServerHarness.request("Nope", [("x-id", "i")]), "12", "/test.Test/Nope UNIMPLEMENTED", "i"),
      (
        ServerHarness.request("Unary", [("grpc-timeout", "0n"), ("x-id", "i")]), "4",
        "/test.Test/Unary DEADLINE_EXCEEDED", "i"
      ),
      (ServerHarness.request("Unary", [("grpc-timeout", "x")]), "13", "/test.Test/Unary INTERNAL", "made"),
      (ServerHarness.request("Unary", [("grpc-encoding", "br")]), "12", "/test.Test/Unary UNIMPLEMENTED", "made"),
      (ServerHarness.request("Unary", [("x-bad-bin", "?")]), "13", "/test.Test/Unary INTERNAL", "made"),
      (
        ServerHarness.request("Unary", [("x-big", String(repeating: "b", count: 9000))]), "8",
        "/test.Test/Unary RESOURCE_EXHAUSTED", "made"
      ),
    ] as [(HeaderFields, String, String, String)])
  func headers(request: HeaderFields, status: String, line: String, id: String) async throws {
    let (reply, lines) = try await Self.refused(request)
    #expect(reply.status == status)
    #expect(lines == [line])
    #expect(reply.headers["x-id"] == id)
  }

  @Test("W22, W25: so has one that is refused for its message, before its handler", arguments: [0, 11])
  func message(length: Int) async throws {
    let body = length == 0 ? [] : ServerHarness.framed([UInt8](repeating: 1, count: length))
    let (reply, lines) = try await Self.refused(ServerHarness.request("Unary", [("x-id", "i")]), body)
    #expect(reply.status == (length == 0 ? "12" : "8"))
    #expect(lines.count == 1)
    #expect(reply.headers["x-id"] == "i")
  }

  @Test("W8: so has what is no gRPC call")
  func notGRPC() async throws {
    let (reply, lines) = try await Self.refused([
      ":method": "POST", ":scheme": "http", ":path": "/test.Test/Unary", ":authority": "t",
      "content-type": "text/plain",
    ])
    #expect(reply.headers[":status"] == "415")
    #expect(reply.headers["x-id"] == "made")
    #expect(reply.isTrailersOnly && reply.status == nil)
    #expect(lines == ["/test.Test/Unary UNKNOWN"])
  }

  @Test("so has one whose deadline passes before its request is whole")
  func deadlineBeforeRequest() async throws {
    let log = InterceptorTests.Log()
    let harness = try await ServerHarness(interceptors: [Observer(lines: log), Guard()])
    _ = harness.open(ServerHarness.request("Unary", [("grpc-timeout", "1S")]))
    try await harness.exchange()
    try await harness.advance(by: .seconds(1))
    #expect(harness.replies[1]?.status == "4")
    #expect(harness.replies[1]?.headers["x-id"] == "made")
    #expect(log.all == ["/test.Test/Unary DEADLINE_EXCEEDED"])
  }

  @Test("a call over the limit of calls in flight is counted, and its path is bounded in the log")
  func loadShedding() async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxCallsInFlight = 0
    configuration.http2.maxHeaderListSize = 100_000
    let log = InterceptorTests.Log()
    let harness = try await ServerHarness(configuration: configuration, interceptors: [Observer(lines: log)])
    #expect(try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([])).status == "8")
    #expect(harness.server.budgetTrips == [.callsInFlight: 1])
    _ = try await harness.call(ServerHarness.request(String(repeating: "x", count: 5000)), ServerHarness.framed([]))
    #expect(log.all.last?.utf8.count == 200 + " UNIMPLEMENTED".utf8.count)
    #expect(harness.server.callsInFlight == 0)
  }
}
