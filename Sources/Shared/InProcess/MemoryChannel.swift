internal import NIOCore

/// One end of a byte connection in memory, as a NIO channel: what one end flushes, the other reads in a later turn of
/// the loop that both live on.
///
/// Writability is as with a socket: while much is on its way, the channel is not writable.
// Safe to share: everything mutable in it is touched on `eventLoop` only, which NIO's own calls guarantee.
final class MemoryChannel: Channel, ChannelCore, @unchecked Sendable {
  let eventLoop: any EventLoop
  let allocator = ByteBufferAllocator()
  let parent: (any Channel)? = nil
  let closeFuture: EventLoopFuture<Void>
  private let closePromise: EventLoopPromise<Void>
  private var lazyPipeline: ChannelPipeline?

  private weak var peer: MemoryChannel?
  private(set) var isActive = false
  private(set) var isWritable = true
  private var isClosed = false
  /// Written and not flushed.
  private var unflushed: [(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
  /// Flushed by the peer and not read yet.
  private var inbox: [ByteBuffer] = []
  private var isDeliveryScheduled = false
  private var outstanding = 0

  private static let highWatermark = 64 * 1024
  private static let lowWatermark = 32 * 1024

  private init(on loop: any EventLoop) {
    eventLoop = loop
    closePromise = loop.makePromise()
    closeFuture = closePromise.futureResult
  }

  /// Two ends of one connection; configure the pipelines, then ``activate()`` both. On the loop.
  static func pair(on loop: any EventLoop) -> (MemoryChannel, MemoryChannel) {
    let (one, other) = (MemoryChannel(on: loop), MemoryChannel(on: loop))
    one.lazyPipeline = ChannelPipeline(channel: one)
    other.lazyPipeline = ChannelPipeline(channel: other)
    one.peer = other
    other.peer = one
    return (one, other)
  }

  func activate() {
    eventLoop.assertInEventLoop()
    guard !isClosed, !isActive else { return }
    isActive = true
    pipeline.fireChannelRegistered()
    pipeline.fireChannelActive()
  }

  /// Ends the connection as a broken network does: what is on its way is lost.
  func sever() {
    eventLoop.assertInEventLoop()
    inbox.removeAll()
    peer?.inbox.removeAll()
    let peer = peer
    close(ChannelError.eof, promise: nil)
    peer?.close(ChannelError.eof, promise: nil)
  }

  // MARK: Channel

  var pipeline: ChannelPipeline {
    if let lazyPipeline { return lazyPipeline }
    let pipeline = ChannelPipeline(channel: self)
    lazyPipeline = pipeline
    return pipeline
  }

  var _channelCore: any ChannelCore { self }
  var localAddress: SocketAddress? { nil }
  var remoteAddress: SocketAddress? { nil }

  func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
    eventLoop.makeSucceededVoidFuture()
  }

  func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
    eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
  }

  // MARK: ChannelCore

  func localAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }
  func remoteAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }

  func register0(promise: EventLoopPromise<Void>?) { promise?.succeed(()) }
  func registerAlreadyConfigured0(promise: EventLoopPromise<Void>?) { promise?.succeed(()) }

  func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
    promise?.fail(ChannelError.operationUnsupported)
  }

  func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
    promise?.fail(ChannelError.operationUnsupported)
  }

  func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard isActive else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    let bytes = unwrapData(data, as: ByteBuffer.self)
    unflushed.append((bytes, promise))
    outstanding += bytes.readableBytes
    updateWritability()
  }

  func flush0() {
    guard isActive, !unflushed.isEmpty else { return }
    let writes = unflushed
    unflushed = []
    for write in writes {
      peer?.inbox.append(write.bytes)
      write.promise?.succeed(())
    }
    peer?.scheduleDelivery()
  }

  /// Reading never stops: the session's flow control is what holds a sender back.
  func read0() {}

  func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .all else {
      promise?.fail(ChannelError.operationUnsupported)
      return
    }
    close(error, promise: promise)
  }

  func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
    promise?.fail(ChannelError.operationUnsupported)
  }

  func channelRead0(_ data: NIOAny) {}

  func errorCaught0(error: any Error) {}
}

// MARK: - Moving bytes

extension MemoryChannel {
  private func scheduleDelivery() {
    guard !isDeliveryScheduled else { return }
    isDeliveryScheduled = true
    eventLoop.execute {
      self.isDeliveryScheduled = false
      self.deliver()
    }
  }

  private func deliver() {
    guard isActive, !inbox.isEmpty else { return }
    let arrived = inbox
    inbox = []
    for bytes in arrived {
      guard isActive else { return }
      pipeline.fireChannelRead(bytes)
      peer?.outstanding -= bytes.readableBytes
    }
    if isActive { pipeline.fireChannelReadComplete() }
    peer?.updateWritability()
  }

  private func updateWritability() {
    let writable = isWritable ? outstanding < Self.highWatermark : outstanding <= Self.lowWatermark
    guard writable != isWritable, isActive else { return }
    isWritable = writable
    pipeline.fireChannelWritabilityChanged()
  }

  private func close(_ error: any Error, promise: EventLoopPromise<Void>?) {
    guard !isClosed else {
      promise?.fail(ChannelError.alreadyClosed)
      return
    }
    isClosed = true
    let wasActive = isActive
    isActive = false
    for write in unflushed { write.promise?.fail(error) }
    unflushed = []
    promise?.succeed(())
    if wasActive { pipeline.fireChannelInactive() }
    pipeline.fireChannelUnregistered()
    // What was flushed is read before the end is seen.
    if let peer {
      eventLoop.execute {
        peer.deliver()
        peer.close(ChannelError.eof, promise: nil)
      }
    }
    peer = nil
    eventLoop.execute {
      self.removeHandlers(pipeline: self.pipeline)
      self.closePromise.succeed(())
      self.lazyPipeline = nil
    }
  }
}
