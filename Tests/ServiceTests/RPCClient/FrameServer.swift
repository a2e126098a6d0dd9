import EchoTestSupport
import Logging
import NIOCore
import NIOEmbedded
import RPC
import RPCClient
import TestSupport

/// The server's side of our channel, frame by frame and on a clock of the test's own: what a test does not send is not
/// sent, and time passes when the test says so.
final class FrameServer: Sendable {
  let loop = NIOAsyncTestingEventLoop()
  private let connector: Connector
  private let accepted: AsyncStream<NIOAsyncTestingChannel>

  private struct Connector: ByteConnector {
    let accepted: AsyncStream<NIOAsyncTestingChannel>.Continuation

    var scheme: String { "http" }

    func connect(
      to endpoint: Endpoint, on loop: any EventLoop, timeout: TimeAmount,
      configure: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
      guard let loop = loop as? NIOAsyncTestingEventLoop else {
        return loop.makeFailedFuture(ChannelError.operationUnsupported)
      }
      let channel = NIOAsyncTestingChannel(loop: loop)
      return loop.submit {
        try configure(channel)
        return channel
      }.flatMap { channel in
        loop.makeCompletedFuture { try SocketAddress(unixDomainSocketPath: "frames") }
          .flatMap { channel.connect(to: $0) }
          .map { [accepted] _ in
            accepted.yield(channel)
            return channel
          }
      }
    }
  }

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: NIOAsyncTestingChannel.self)
    accepted = stream
    connector = Connector(accepted: continuation)
  }

  /// A channel of ours; without jitter, so that times are exact.
  func channel(_ change: (inout RPCClientConfiguration) -> Void = { _ in }) -> RPCClientChannel {
    var configuration = RPCClientConfiguration()
    configuration.backoff.jitter = 0
    configuration.seed = 1
    change(&configuration)
    return RPCClientChannel(
      target: ChannelTarget(endpoints: [.unix(path: "frames")], authority: "frames"), connector: connector, on: loop,
      configuration: configuration, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
  }

  /// The next connection that the client makes. Its preface was read; SETTINGS are sent unless told otherwise.
  func accept(settings: [(UInt16, UInt32)]? = []) async throws -> FrameConnection {
    var connections = accepted.makeAsyncIterator()
    guard let channel = await connections.next() else { throw RPCError(.internal, "no connection") }
    let connection = FrameConnection(channel)
    try await connection.readPreface()
    if let settings {
      try await connection.send { builder in
        builder.settings(settings)
        builder.frame(.settings, flags: FrameBuilder.ack)
      }
    }
    return connection
  }

  func pass(_ time: TimeAmount) async { await loop.advanceTime(by: time) }
}

/// One connection of a ``FrameServer``. Used by one task.
final class FrameConnection {
  private let channel: NIOAsyncTestingChannel
  private var bytes: [UInt8] = []

  init(_ channel: NIOAsyncTestingChannel) { self.channel = channel }

  func readPreface() async throws {
    while bytes.count < FrameBuilder.preface.count { try await readMore() }
    guard bytes.starts(with: FrameBuilder.preface) else { throw RPCError(.internal, "no HTTP/2 preface") }
    bytes.removeFirst(FrameBuilder.preface.count)
  }

  func send(_ build: (inout FrameBuilder) -> Void) async throws {
    var builder = FrameBuilder()
    build(&builder)
    try await channel.writeInbound(ByteBuffer(bytes: builder.bytes))
    // Also what follows from it in later turns of the loop.
    await channel.testingEventLoop.run()
  }

  /// The next frame of the client.
  func next() async throws -> ParsedFrame {
    while true {
      if let frame = take() { return frame }
      try await readMore()
    }
  }

  /// The next frame of a kind; others before it are passed over.
  func next(_ kind: FrameBuilder.Kind) async throws -> ParsedFrame {
    while true {
      let frame = try await next()
      if frame.kind == kind.rawValue { return frame }
    }
  }

  /// Frames that the client has sent by now.
  func sent() async throws -> [ParsedFrame] {
    while let more = try await channel.readOutbound(as: ByteBuffer.self) { bytes += Array(buffer: more) }
    var frames: [ParsedFrame] = []
    while let frame = take() { frames.append(frame) }
    return frames
  }

  /// Breaks the connection as a network does.
  func sever() async throws { try await channel.close(mode: .all).get() }

  /// The socket takes no more bytes, as when the peer does not read.
  func block() async {
    channel.isWritable = false
    await channel.testingEventLoop.run()
  }

  var isActive: Bool { channel.isActive }

  private func take() -> ParsedFrame? {
    guard let frame = ParsedFrame.parse(bytes).first, bytes.count >= 9 + frame.payload.count else { return nil }
    let length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
    guard frame.payload.count == length else { return nil }
    bytes.removeFirst(9 + length)
    return frame
  }

  private func readMore() async throws {
    bytes += Array(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
  }
}

extension FrameBuilder {
  mutating func settings(_ entries: [(UInt16, UInt32)]) {
    frame(.settings, entries.flatMap { id, value in [UInt8(id >> 8), UInt8(id & 0xFF)] + Self.bigEndian(value) })
  }

  mutating func goAway(last: UInt32, code: UInt32, debug: String = "") {
    frame(.goAway, Self.bigEndian(last) + Self.bigEndian(code) + Array(debug.utf8))
  }

  mutating func responseHeaders(_ stream: UInt32) {
    headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
  }

  mutating func message(_ stream: UInt32, _ text: String) {
    data(stream, [0, 0, 0, 0, UInt8(text.utf8.count)] + text.utf8)
  }

  mutating func trailers(_ stream: UInt32, _ code: Int, _ more: (String, String)...) {
    headers(stream, [("grpc-status", "\(code)")] + more, endStream: true)
  }

  mutating func trailersOnly(_ stream: UInt32, _ code: Int, _ more: (String, String)...) {
    headers(
      stream, [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "\(code)")] + more,
      endStream: true)
  }

  /// A whole response to a unary call.
  mutating func answer(_ stream: UInt32, _ text: String) {
    responseHeaders(stream)
    message(stream, text)
    trailers(stream, 0)
  }
}

extension RPCClientChannel {
  /// A unary call in a task of its own, and how it ended.
  func call(_ text: Text = "hi", options: CallOptions = .init()) -> Task<Result<Text, RPCError>, Never> {
    Task {
      do throws(RPCError) {
        return .success(try await unary(EchoService.unary, text, options: options).message)
      } catch {
        return .failure(error)
      }
    }
  }
}

extension Result where Failure == RPCError {
  var error: RPCError? { if case .failure(let error) = self { error } else { nil } }
}
