#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif
internal import Logging
internal import NIOCore
internal import Synchronization

/// Sits on a listening socket: bounds the connections, and pauses when the process has no descriptors left.
///
/// Without the pause a full descriptor table makes the loop spin on a connection that it cannot accept (WIRE 3).
final class AcceptGate: ChannelDuplexHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel
  typealias OutboundIn = Never

  /// What the gate counts, on any loop.
  final class Shared: Sendable {
    let limit: Int?
    let open = Atomic<Int>(0)

    init(limit: Int?) { self.limit = limit }
  }

  private let shared: Shared
  private let logger: Logger
  private var isPaused = false
  private var wantsRead = false
  private static let pause: TimeAmount = .milliseconds(100)

  init(_ shared: Shared, logger: Logger) {
    self.shared = shared
    self.logger = logger
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let child = unwrapInboundIn(data)
    if let limit = shared.limit, shared.open.load(ordering: .relaxed) >= limit {
      logger.warning("connection refused: too many are open", metadata: ["limit": "\(limit)"])
      return child.close(promise: nil)
    }
    let shared = shared
    shared.open.wrappingAdd(1, ordering: .relaxed)
    child.closeFuture.whenComplete { _ in shared.open.wrappingSubtract(1, ordering: .relaxed) }
    context.fireChannelRead(data)
  }

  func read(context: ChannelHandlerContext) {
    if isPaused { wantsRead = true } else { context.read() }
  }

  /// EMFILE and its kin: the socket stays open, and accepting goes on after a pause.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? IOError, Self.isExhaustion(error.errnoCode) else {
      return context.fireErrorCaught(error)
    }
    guard !isPaused else { return }
    logger.warning("accepting pauses", metadata: ["error": "\(error)"])
    isPaused = true
    context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
      self.isPaused = false
      if self.wantsRead {
        self.wantsRead = false
        context.read()
      }
    }
  }

  private static func isExhaustion(_ code: CInt) -> Bool {
    [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code)
  }
}

/// Closes a connection whose TLS handshake takes too long (slow loris).
final class HandshakeTimeout: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let timeout: TimeAmount
  private var timer: Scheduled<Void>?

  init(_ timeout: TimeAmount) { self.timeout = timeout }

  func handlerAdded(context: ChannelHandlerContext) {
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { context.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.cancel()
    timer = nil
  }
}
