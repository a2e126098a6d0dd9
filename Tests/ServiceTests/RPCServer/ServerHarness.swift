import HTTP2
import Logging
import NIOCore
import NIOEmbedded
import RPC
import RPCServer
import TestSupport

/// A message that is its bytes.
struct Bytes: WireMessage, Hashable {
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }
  init(_ text: String) { bytes = Array(text.utf8) }
  init(serialized bytes: UnsafeRawBufferPointer) throws(WireMessageError) {
    self.bytes = Array(bytes)
    if self.bytes.first == 0xFF { throw WireMessageError("no such message") }
  }

  func serialize(into buffer: inout ByteBuffer) throws(WireMessageError) { buffer.writeBytes(bytes) }
}

/// A service whose handlers are given.
struct TestService: RPCService {
  static let serviceDescriptor = ServiceDescriptor(
    name: "test.Test", file: "test.proto", methods: ["Unary", "Pull", "Push", "Both"])

  static func method(_ name: String, _ kind: MethodKind) -> MethodDescriptor<Bytes, Bytes> {
    MethodDescriptor(service: "test.Test", name: name, kind: kind)
  }

  var unary: @Sendable (Bytes, ServerContext) async throws -> Bytes = { request, _ in request }
  var pull: @Sendable (Bytes, ResponseWriter<Bytes>, ServerContext) async throws -> Void = { request, response, _ in
    for byte in request.bytes { try await response.write(Bytes([byte])) }
  }
  var push: @Sendable (MessageStream<Bytes>, ServerContext) async throws -> Bytes = { requests, _ in
    var all: [UInt8] = []
    for try await request in requests { all += request.bytes }
    return Bytes(all)
  }
  var both: @Sendable (MessageStream<Bytes>, ResponseWriter<Bytes>, ServerContext) async throws -> Void = {
    requests, response, _ in
    for try await request in requests { try await response.write(request) }
  }

  func registerMethods(with registrar: inout some ServiceRegistrar) {
    registrar.registerUnary(Self.method("Unary", .unary), handler: unary)
    registrar.registerServerStreaming(Self.method("Pull", .serverStreaming), handler: pull)
    registrar.registerClientStreaming(Self.method("Push", .clientStreaming), handler: push)
    registrar.registerBidirectionalStreaming(Self.method("Both", .bidirectionalStreaming), handler: both)
  }
}

/// What came back on one stream.
struct Reply: Equatable {
  var headers: [String: String] = [:]
  var body: [UInt8] = []
  var trailers: [String: String] = [:]
  var isTrailersOnly = false
  var reset: HTTP2ErrorCode?
  var isClosed = false

  /// From the trailers, or the only block.
  var status: String? { isTrailersOnly ? headers["grpc-status"] : trailers["grpc-status"] }
  var message: String? { isTrailersOnly ? headers["grpc-message"] : trailers["grpc-message"] }

  var messages: [[UInt8]] {
    var rest = body[...]
    var messages: [[UInt8]] = []
    while rest.count >= 5 {
      let length = Int(UInt32(bigEndianBytes: Array(rest.dropFirst().prefix(4))))
      messages.append(Array(rest.dropFirst(5).prefix(length)))
      rest = rest.dropFirst(5 + length)
    }
    return messages
  }
}

/// A server on a channel without a socket and with a clock that the test moves; the peer is a bare HTTP/2 session.
final class ServerHarness {
  let loop = NIOAsyncTestingEventLoop()
  let channel: NIOAsyncTestingChannel
  let server: RPCServer
  let client = HTTP2Session(role: .client)
  private(set) var replies: [Int32: Reply] = [:]
  private(set) var goAways: [String] = []
  private(set) var sentBytes: [UInt8] = []
  /// Give back received bytes' credit at once. Off to play a reader that does not read.
  var consumes = true

  init(
    _ service: TestService = TestService(), configuration: RPCServerConfiguration = .init(),
    interceptors: [any ServerInterceptor] = []
  ) async throws {
    let server = RPCServer(
      configuration: configuration, listen: [], services: [service], interceptors: interceptors, eventLoopGroup: loop,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    self.server = server
    channel = NIOAsyncTestingChannel(loop: loop)
    try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).get()
    let channel = channel
    try await loop.executeInContext { try server.attach(to: channel, peer: Peer(address: "ipv4:127.0.0.1:1")) }
  }

  // MARK: The peer

  static func request(_ method: String, _ more: [(String, String)] = []) -> HeaderFields {
    var fields: HeaderFields = [
      ":method": "POST", ":scheme": "http", ":path": "/test.Test/\(method)", ":authority": "test",
      "te": "trailers", "content-type": "application/grpc",
    ]
    for (name, value) in more { fields.append(name, value) }
    return fields
  }

  static func framed(_ bytes: [UInt8], flag: UInt8 = 0) -> [UInt8] {
    [flag] + FrameBuilder.bigEndian(UInt32(bytes.count)) + bytes
  }

  /// Sends a whole call's request and returns what the server said once it is quiet.
  func call(_ headers: HeaderFields, _ body: [UInt8], end: Bool = true) async throws -> Reply {
    let stream = open(headers)
    let id = stream.id
    stream.outbound.writeBytes(body)
    if end { client.finishRequest(stream) }
    try await exchange()
    return replies[id] ?? Reply()
  }

  func open(_ headers: HeaderFields) -> HTTP2Stream {
    guard let stream = client.submitRequest(headers) else { preconditionFailure("the session takes no more streams") }
    replies[stream.id] = Reply()
    return stream
  }

  /// Feeds the server bytes that the client's session would never send.
  func sendRaw(_ builder: FrameBuilder) async throws {
    try await channel.writeInbound(ByteBuffer(bytes: builder.bytes))
    await loop.run()
    while let down = try await channel.readOutbound(as: ByteBuffer.self) { sentBytes += down.readableBytesView }
  }

  /// Moves bytes both ways until nothing moves.
  func exchange() async throws {
    var isQuiet = false
    while !isQuiet {
      var up = ByteBuffer()
      _ = try client.produce(into: &up)
      isQuiet = up.readableBytes == 0
      if up.readableBytes > 0 { try await channel.writeInbound(up) }
      await loop.run()
      while let down = try await channel.readOutbound(as: ByteBuffer.self) {
        isQuiet = false
        try receive(down)
      }
    }
  }

  /// Waits until the server says something, then as ``exchange()``.
  func waitForServer() async throws {
    try receive(try await channel.waitForOutboundWrite(as: ByteBuffer.self))
    try await exchange()
  }

  func waitForEnd(of id: Int32) async throws -> Reply {
    while replies[id]?.isClosed != true { try await waitForServer() }
    return replies[id] ?? Reply()
  }

  /// Moves the clock, then exchanges.
  func advance(by amount: TimeAmount) async throws {
    await loop.advanceTime(by: amount)
    try await exchange()
  }

  private func receive(_ bytes: ByteBuffer) throws {
    sentBytes += bytes.readableBytesView
    try bytes.withUnsafeReadableBytes { try client.receive($0) }
    while let event = client.nextEvent() {
      switch event {
      case .headers(let stream, let fields, let end):
        replies[stream.id, default: Reply()].headers = Self.dictionary(fields)
        replies[stream.id]?.isTrailersOnly = end
      case .trailers(let stream, let fields): replies[stream.id]?.trailers = Self.dictionary(fields)
      case .data(let stream, _):
        replies[stream.id]?.body += stream.inbound.readableBytesView
        stream.inbound.clear()
        if consumes { client.consumeTaken(on: stream) }
      case .closed(let stream, let reset):
        replies[stream.id]?.isClosed = true
        replies[stream.id]?.reset = reset?.code
      case .goAway(let id, let code, let text): goAways.append("\(id) \(code) \(text)")
      default: break
      }
    }
  }

  private static func dictionary(_ fields: HeaderFields) -> [String: String] {
    Dictionary(fields.fields.map { (fields.name(of: $0), fields.value(of: $0)) }) { $0 + "," + $1 }
  }
}
