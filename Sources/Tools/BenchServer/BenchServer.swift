// A server for deploy/bench and for the tests of floods: answers every call with the same 449 bytes, through the whole
// runtime. Blast sends 100 MB; Trips tells which budgets were exceeded, one `name count` a line.
//
// Usage: bench-server [--port N] [--loops N] [--interceptors N] [--connections N] [--stall-seconds N]. Prints
// "listening on PORT" once it serves.

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import RPC
internal import RPCServer
internal import Sockets
internal import Synchronization

/// A message that is nothing but its bytes: the benchmark measures the runtime, not a codec.
struct Payload: WireMessage {
  var bytes: ByteBuffer

  init(bytes: ByteBuffer) { self.bytes = bytes }

  init(serialized bytes: UnsafeRawBufferPointer) throws(WireMessageError) {
    self.bytes = bytes.isEmpty ? ByteBuffer() : ByteBuffer(bytes: bytes)
  }

  func serialize(into buffer: inout ByteBuffer) throws(WireMessageError) { buffer.writeImmutableBuffer(bytes) }
}

struct BenchService: RPCService {
  static let get = MethodDescriptor<Payload, Payload>(service: "bench.Bench", name: "Get", kind: .unary)
  static let stream = MethodDescriptor<Payload, Payload>(
    service: "bench.Bench", name: "Stream", kind: .serverStreaming)
  static let echo = MethodDescriptor<Payload, Payload>(
    service: "bench.Bench", name: "Echo", kind: .bidirectionalStreaming)
  static let serviceDescriptor = ServiceDescriptor(
    name: "bench.Bench", file: "bench.proto", methods: ["Get", "Stream", "Echo", "Blast", "Trips"])
  static let blast = MethodDescriptor<Payload, Payload>(
    service: "bench.Bench", name: "Blast", kind: .serverStreaming)
  static let trips = MethodDescriptor<Payload, Payload>(service: "bench.Bench", name: "Trips", kind: .unary)

  let server: ServerReference
  private let reply = Payload(bytes: ByteBuffer(repeating: 0x61, count: 449))

  func registerMethods(with registrar: inout some ServiceRegistrar) {
    registrar.registerUnary(Self.get) { _, _ in reply }
    registrar.registerServerStreaming(Self.stream) { _, response, _ in
      for _ in 0..<1000 { try await response.write(reply) }
    }
    registrar.registerBidirectionalStreaming(Self.echo) { requests, response, _ in
      for try await request in requests { try await response.write(request) }
    }
    registrar.registerServerStreaming(Self.blast) { _, response, _ in
      let part = Payload(bytes: ByteBuffer(repeating: 0x61, count: 100_000))
      for _ in 0..<1000 { try await response.write(part) }
    }
    registrar.registerUnary(Self.trips) { _, _ in
      let lines = server.trips.map { "\($0.key.rawValue) \($0.value)" }
      return Payload(bytes: ByteBuffer(string: lines.sorted().joined(separator: "\n")))
    }
  }
}

/// The server that a service of its own asks.
final class ServerReference: Sendable {
  private let server = Mutex<RPCServer?>(nil)

  func set(_ server: RPCServer) { self.server.withLock { $0 = server } }
  var trips: [ServerBudget: Int] { server.withLock { $0?.budgetTrips ?? [:] } }
}

struct PassThrough: ServerInterceptor {
  func intercept(_ context: ServerContext, next: () async throws -> Void) async throws { try await next() }
}

@main
enum BenchServer {
  static func main() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: option("--loops") ?? 1)
    let reference = ServerReference()
    var configuration = RPCServerConfiguration()
    if let limit = option("--connections") { configuration.maxConnections = limit }
    if let time = option("--stall-seconds") { configuration.connection.stallTimeout = .seconds(Int64(time)) }
    let server = RPCServer(
      configuration: configuration, listen: [RPCServer.Listen(.tcp(host: "127.0.0.1", port: option("--port") ?? 0))],
      services: [BenchService(server: reference)],
      interceptors: Array(repeating: PassThrough(), count: option("--interceptors") ?? 0),
      eventLoopGroup: group, logger: Logger(label: "bench"))
    reference.set(server)
    for case .tcp(_, let port) in try await server.start() { print("listening on \(port)") }
    fflushOutput()
    try await server.run()
  }

  private static func option(_ name: String) -> Int? {
    let arguments = CommandLine.arguments
    guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
    return Int(arguments[index + 1])
  }
}
