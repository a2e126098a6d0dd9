import Identity
import Logging
import NIOCore
import RPC
import Synchronization
import Testing

@testable import Observability

/// Takes log events for a test to look at.
private final class LogRecorder: LogHandler {
  struct Line: Sendable {
    let level: Logger.Level
    let message: String
    let fields: [String: String]
  }
  let lines = Mutex<[Line]>([])

  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }
  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).mapValues(\.description)
    lines.withLock { $0.append(Line(level: event.level, message: event.message.description, fields: fields)) }
  }
}

private enum PatientFault: Error {
  case name(String)
  case gone
}

private struct MappedError: RPCErrorConvertible {
  let rpcError: RPCError
}

@Suite("Observability interceptors")
struct InterceptorTests {
  private static let path = "/clinic.Service/Get"
  private static let services = [ServiceDescriptor(name: "clinic.Service", file: "clinic.proto", methods: ["Get"])]

  private func context(_ metadata: Metadata = [:], deadline: NIODeadline? = nil, path: String = path) -> ServerContext {
    ServerContext(
      path: path, requestMetadata: metadata, deadline: deadline, peer: Peer(address: "ipv4:192.0.2.1:4711"),
      authority: "test")
  }

  /// Runs `handler` inside all our interceptors; what the caller would be told, and the lines of the log.
  private func call(
    _ context: ServerContext, handler: () async throws -> Void
  ) async -> (status: RPCError?, lines: [LogRecorder.Line]) {
    let recorder = LogRecorder()
    let interceptors = ServerInterceptors.inOrder(
      domain: "clinic", services: Self.services, logger: Logger(label: "test") { _ in recorder }, identity: [])
    func run(_ rest: ArraySlice<any ServerInterceptor>) async throws {
      guard let first = rest.first else { return try await handler() }
      try await first.intercept(context) { try await run(rest.dropFirst()) }
    }
    do {
      try await run(interceptors[...])
      return (nil, recorder.lines.withLock { $0 })
    } catch {
      return (error as? RPCError, recorder.lines.withLock { $0 })
    }
  }

  @Test("takes over the caller's correlation id", arguments: ["a", "job-7_x.Y", String(repeating: "a", count: 64)])
  func correlation(id: String) async {
    let context = context(["x-correlation-id": .ascii(id)])
    _ = await call(context) {}
    #expect(context.correlationID == id)
    #expect(context.trailingMetadata.values(for: "x-correlation-id") == [.ascii(id)])
  }

  @Test("an implausible correlation id is replaced", arguments: ["", "a b", "é", String(repeating: "a", count: 65)])
  func newCorrelation(id: String) async throws {
    let context = context(["x-correlation-id": .ascii(id)])
    let result = await call(context) { throw RPCError(.notFound, "No such patient.") }
    let made = try #require(context.trailingMetadata["x-correlation-id"])
    #expect(made.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
    #expect(result.lines.first?.fields["correlation_id"] == made)
  }

  @Test("one line a call, with what the operator needs")
  func line() async throws {
    let context = context(["x-correlation-id": "c-1", "authorization": "Bearer secret"])
    let result = await call(context) {
      context[PrincipalKey.self] = Principal(id: "clinician-a", role: .clinician, forwardableToken: "secret")
    }
    let line = try #require(result.lines.first)
    #expect(result.lines.count == 1)
    #expect(line.level == .info)
    var fields = line.fields
    #expect(fields.removeValue(forKey: "duration_us").flatMap { Int($0) } != nil)
    #expect(
      fields == [
        "method": Self.path, "code": "OK", "peer": "ipv4:192.0.2.1:4711", "role": "clinician", "correlation_id": "c-1",
      ])
  }

  @Test("a service is named in the line, and the role of whom it acts for")
  func serviceLine() async throws {
    let context = context()
    let result = await call(context) {
      context[PrincipalKey.self] = Principal(
        id: "appointment-service", role: .service, onBehalfOf: .init(id: "maria", role: .patient))
    }
    let line = try #require(result.lines.first)
    #expect(line.fields["service"] == "appointment-service")
    #expect(line.fields["on_behalf_of_role"] == "patient")
    #expect(!line.fields.values.contains { $0.contains("maria") })
  }

  @Test("a status keeps what its handler said")
  func mapped() async {
    let given = RPCError(
      .failedPrecondition, "Busy.", details: [.errorInfo(reason: "SLOT_CONFLICT", domain: "appointment")])
    let result = await call(context()) { throw MappedError(rpcError: given) }
    #expect(result.status?.code == .failedPrecondition)
    #expect(result.status?.details == given.details)
    #expect(result.lines.first?.fields["reason"] == "SLOT_CONFLICT")
  }

  @Test(
    "a status without a reason gets the one of its code",
    arguments: [
      (StatusCode.unimplemented, "UNIMPLEMENTED"), (.internal, "INTERNAL"), (.deadlineExceeded, "DEADLINE_EXCEEDED"),
      (.dataLoss, "RECORD_CORRUPT"), (.resourceExhausted, "RESOURCE_EXHAUSTED"),
    ])
  func reasonOfCode(code: StatusCode, reason: String) async {
    let result = await call(context()) { throw RPCError(code, "x", details: [.retryInfo(delay: .seconds(1))]) }
    #expect(
      result.status?.details == [.errorInfo(reason: reason, domain: "clinic"), .retryInfo(delay: .seconds(1))])
  }

  @Test("an error that nobody mapped is INTERNAL, and neither caller nor log sees what it holds")
  func unmapped() async throws {
    let result = await call(context()) { throw PatientFault.name("María Pérez") }
    let status = try #require(result.status)
    #expect(status.code == .internal)
    #expect(status.details == [.errorInfo(reason: "INTERNAL", domain: "clinic")])
    #expect(!status.message.contains("María"))
    let line = try #require(result.lines.first)
    #expect(line.level == .error)
    #expect(line.fields["cause"]?.hasSuffix("PatientFault.name") == true)
    #expect(!line.fields.values.contains { $0.contains("María") })
  }

  @Test("a case without values is named in the log")
  func unmappedCase() async throws {
    let result = await call(context()) { throw PatientFault.gone }
    #expect(result.lines.first?.fields["cause"]?.hasSuffix("PatientFault.gone") == true)
  }

  @Test("a cancelled call says whether its deadline was over")
  func cancelled() async {
    let early = await call(context(deadline: .distantFuture)) { throw CancellationError() }
    #expect(early.status?.code == .cancelled)
    let late = await call(context(deadline: .uptimeNanoseconds(1))) { throw CancellationError() }
    #expect(late.status?.code == .deadlineExceeded)
  }
}
