import EchoTestSupport
import InProcess
import Logging
import MetricsTestKit
import NIOCore
import RPC
import Synchronization
import Testing

@testable import Observability

/// Names and labels as gRFC A66 gives them; what was recorded is read from swift-metrics' own test backend.
@Suite("Metrics of calls") struct MetricsTests {
  private let backend = TestMetrics()
  private static let services = [
    ServiceDescriptor(name: "clinic.Service", file: "clinic.proto", methods: ["Get", "List"])
  ]

  /// A call through the interceptors of a server; in nanoseconds, it takes `duration`.
  private func serve(
    _ path: String, duration: Int64 = 0, _ handler: (ServerContext) throws -> Void = { _ in }
  ) async {
    let time = Mutex(NIODeadline.uptimeNanoseconds(5))
    let log = CallLogInterceptor(
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      metrics: CallMetrics(services: Self.services, factory: backend), now: { time.withLock { $0 } })
    let context = ServerContext(
      path: path, requestMetadata: [:], deadline: nil, peer: Peer(address: "in-process"), authority: "test")
    try? await log.intercept(context) {
      time.withLock { $0 = $0 + .nanoseconds(duration) }
      try handler(context)
    }
  }

  @Test("a server's call is counted at its start, and timed in seconds with its status at its end")
  func serverCall() async throws {
    await serve("/clinic.Service/Get", duration: 1_500_000_000)
    await serve("/clinic.Service/Get", duration: 7) { _ in throw RPCError(.notFound, "none") }
    let method = ("grpc.method", "clinic.Service/Get")
    #expect(try backend.expectCounter("grpc.server.call.started", [method]).totalValue == 2)
    let duration = try backend.expectTimer("grpc.server.call.duration", [method, ("grpc.status", "OK")])
    #expect(duration.values == [1_500_000_000])
    #expect(duration.valueInPreferredUnit(atIndex: 0) == 1.5)
    let failed = try backend.expectTimer("grpc.server.call.duration", [method, ("grpc.status", "NOT_FOUND")])
    #expect(failed.values == [7])
  }

  @Test("the bytes of a call's messages are one figure each way")
  func sizes() async throws {
    await serve("/clinic.Service/Get") { context in
      context.countReceived(10)
      context.countReceived(5)
      context.countSent(100)
    }
    let labels = [("grpc.method", "clinic.Service/Get"), ("grpc.status", "OK")]
    let received = try backend.expectRecorder("grpc.server.call.rcvd_total_compressed_message_size", labels)
    #expect(received.values == [15])
    let sent = try backend.expectRecorder("grpc.server.call.sent_total_compressed_message_size", labels)
    #expect(sent.values == [100])
  }

  @Test("paths that the server does not have are one label, however many there are")
  func unknownMethods() async throws {
    for index in 0..<100 { await serve("/clinic.Service/Get\(index)") { _ in throw RPCError(.unimplemented, "no") } }
    await serve("clinic.Service/Get") { _ in throw RPCError(.unimplemented, "no") }
    let other = try backend.expectCounter("grpc.server.call.started", [("grpc.method", "other")])
    #expect(other.totalValue == 101)
    let names = Set(backend.counters(label: "grpc.server.call.started").flatMap { $0.dimensions.map(\.1) })
    #expect(names == ["other", "clinic.Service/Get", "clinic.Service/List"])
    #expect(backend.timers(label: "grpc.server.call.duration").count == 1)
  }

  @Test("a client's call is timed once, with target and status, whatever became of its reader")
  func clientCall() async throws {
    var service = EchoService()
    service.onUnary = { _, _ in throw RPCError(.aborted, "later") }
    let server = InProcessServer(services: [service])
    let channel = server.channel.intercepted(by: [ClientCallMetrics(target: "dns:clinic:1", factory: backend)])
    _ = try? await channel.unary(EchoService.unary, "", options: .init())
    try await channel.serverStreaming(EchoService.expand, "a b", options: .init()) { stream in
      for try await _ in stream.messages {}
    }
    await server.close()
    func timer(_ method: String, _ status: String) throws -> TestTimer {
      let labels = [("grpc.method", "test.Echo/\(method)"), ("grpc.target", "dns:clinic:1"), ("grpc.status", status)]
      return try backend.expectTimer("grpc.client.call.duration", labels)
    }
    #expect(try timer("Unary", "ABORTED").values.count == 1)
    #expect(try timer("Expand", "OK").values.count == 1)
  }

  @Test("a budget's counter is there from the start, and rises by its own trips only")
  func budgets() throws {
    let metrics = BudgetMetrics(budgets: ["too_many_pings", "too_many_resets"], factory: backend)
    metrics.exceeded("too_many_pings")
    metrics.exceeded("too_many_pings")
    metrics.exceeded("what a peer says")
    let label = "clinicavoice.rpc.server.budget.exceeded"
    #expect(try backend.expectCounter(label, [("budget", "too_many_pings")]).totalValue == 2)
    #expect(try backend.expectCounter(label, [("budget", "too_many_resets")]).totalValue == 0)
    #expect(backend.counters(label: label).count == 2)
  }
}
