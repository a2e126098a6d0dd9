#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif
internal import NIOCore
internal import Synchronization

/// Why a connection was not taken, or not taken for long.
package enum ConnectionRefusal: Sendable, Hashable {
  /// It is one too many for its listener, and is closed.
  case tooManyConnections
  /// The process or the system has none left to accept with: the listener pauses.
  case noDescriptors
  /// Its TLS handshake was not done in time.
  case handshakeTimeout
}

/// Is told of each refusal, on any loop, with the peer's name.
package typealias RefusalObserver = @Sendable (ConnectionRefusal, String) -> Void

/// Sits on a listening socket: bounds the connections, and pauses when the process has no descriptors left.
///
/// Without the pause a full descriptor table makes the loop spin on a connection that it cannot accept (WIRE 3).
final class AcceptGate: ChannelInboundHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel

  /// What the gate counts, on any loop.
  final class Shared: Sendable {
    let limit: Int?
    let open = Atomic<Int>(0)
    let refused: RefusalObserver

    init(limit: Int?, refused: @escaping RefusalObserver) {
      self.limit = limit
      self.refused = refused
    }
  }

  private let shared: Shared
  private var isPaused = false
  private static let pause: TimeAmount = .milliseconds(100)

  init(_ shared: Shared) { self.shared = shared }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let child = unwrapInboundIn(data)
    if let limit = shared.limit, shared.open.load(ordering: .relaxed) >= limit {
      shared.refused(.tooManyConnections, child.remoteAddress?.peerName ?? "unknown")
      return child.close(promise: nil)
    }
    let shared = shared
    shared.open.wrappingAdd(1, ordering: .relaxed)
    child.closeFuture.whenComplete { _ in shared.open.wrappingSubtract(1, ordering: .relaxed) }
    context.fireChannelRead(data)
  }

  /// EMFILE and its kin: the socket stays open, and accepting goes on after a pause.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? IOError, Self.isExhaustion(error.errnoCode) else {
      return context.fireErrorCaught(error)
    }
    guard !isPaused else { return }
    shared.refused(.noDescriptors, "\(error)")
    // Only this takes the socket out of the selector: a read that is held back leaves it there, always ready.
    isPaused = true
    let options = context.channel.syncOptions
    try? options?.setOption(.autoRead, value: false)
    context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
      self.isPaused = false
      try? options?.setOption(.autoRead, value: true)
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
  private let refused: () -> Void
  private var timer: Scheduled<Void>?

  init(_ timeout: TimeAmount, refused: @escaping () -> Void = {}) {
    self.timeout = timeout
    self.refused = refused
  }

  func handlerAdded(context: ChannelHandlerContext) {
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
      self.refused()
      context.close(promise: nil)
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.cancel()
    timer = nil
  }
}
