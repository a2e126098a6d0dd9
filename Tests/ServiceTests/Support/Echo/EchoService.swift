package import NIOCore
package import RPC
internal import Synchronization

/// A message that is its bytes, so that these tests need no codec.
package struct Text: WireMessage, Hashable, ExpressibleByStringLiteral {
  package var value: String

  package init(_ value: String) { self.value = value }
  package init(stringLiteral value: String) { self.value = value }

  package init(serialized bytes: UnsafeRawBufferPointer) throws(WireMessageError) {
    guard let value = String(validating: bytes, as: UTF8.self) else { throw WireMessageError("Text is not UTF-8.") }
    self.value = value
  }

  package func serialize(into buffer: inout ByteBuffer) throws(WireMessageError) { buffer.writeString(value) }
}

/// What the tests call. Handlers are given by each test.
package struct EchoService: RPCService {
  package init() {}

  package static let serviceDescriptor = ServiceDescriptor(
    name: "test.Echo", file: "test/echo.proto", methods: ["Unary", "Collect", "Expand", "Chat"])

  package static let unary = MethodDescriptor<Text, Text>(service: "test.Echo", name: "Unary", kind: .unary)
  package static let collect = MethodDescriptor<Text, Text>(
    service: "test.Echo", name: "Collect", kind: .clientStreaming)
  package static let expand = MethodDescriptor<Text, Text>(service: "test.Echo", name: "Expand", kind: .serverStreaming)
  package static let chat = MethodDescriptor<Text, Text>(
    service: "test.Echo", name: "Chat", kind: .bidirectionalStreaming)

  package var onUnary: @Sendable (Text, ServerContext) async throws -> Text = { request, _ in request }
  /// Answers all words in one.
  package var onCollect: @Sendable (MessageStream<Text>, ServerContext) async throws -> Text = { requests, _ in
    var words: [String] = []
    for try await request in requests { words.append(request.value) }
    return Text(words.joined(separator: " "))
  }
  /// Answers each word of one.
  package var onExpand: @Sendable (Text, ResponseWriter<Text>, ServerContext) async throws -> Void = {
    request, response, _ in
    for word in request.value.split(separator: " ") { try await response.write(Text(String(word))) }
  }
  /// Answers each message in capitals.
  package var onChat: @Sendable (MessageStream<Text>, ResponseWriter<Text>, ServerContext) async throws -> Void = {
    requests, response, _ in
    for try await request in requests { try await response.write(Text(request.value.uppercased())) }
  }

  package func registerMethods(with registrar: inout some ServiceRegistrar) {
    registrar.registerUnary(Self.unary, handler: onUnary)
    registrar.registerClientStreaming(Self.collect, handler: onCollect)
    registrar.registerServerStreaming(Self.expand, handler: onExpand)
    registrar.registerBidirectionalStreaming(Self.chat, handler: onChat)
  }
}

/// Something that happens once, and those who wait for it.
package final class Signal: Sendable {
  private let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation

  package init() { (stream, continuation) = AsyncStream.makeStream() }

  package func send() { continuation.finish() }

  /// Returns when the signal was sent or the task is cancelled.
  package func wait() async { for await _ in stream {} }
}

package final class Counter: Sendable {
  private let count = Mutex(0)

  package init() {}

  package var value: Int { count.withLock { $0 } }

  /// The new count.
  @discardableResult
  package func increment() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }
}
