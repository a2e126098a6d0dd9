internal import NIOCore

/// The request messages of a call, framed: those that wait for a stream, and those that were sent and are kept so that
/// the call can be repeated. Source: gRFC A6, "Replay buffer"; WIRE W54.
struct RequestLog {
  private let limit: Int
  private var messages: [ByteBuffer] = []
  private(set) var byteCount = 0
  private var nextUnsent = 0
  /// Bytes that no stream has taken yet.
  private(set) var unsentByteCount = 0
  /// The request can be sent from its beginning again.
  private(set) var isReplayable = true
  var hasHalfClosed = false

  init(limit: Int) { self.limit = limit }

  mutating func append(_ framed: ByteBuffer) {
    messages.append(framed)
    byteCount += framed.readableBytes
    unsentByteCount += framed.readableBytes
    if byteCount > limit { commit() }
  }

  /// Moves everything that was not sent into `buffer`.
  mutating func drain(into buffer: inout ByteBuffer) {
    for message in messages[nextUnsent...] { buffer.writeImmutableBuffer(message) }
    nextUnsent = messages.count
    unsentByteCount = 0
    if !isReplayable { removeSent() }
  }

  /// The call is committed to its attempt: what was sent is not needed any more.
  mutating func commit() {
    isReplayable = false
    removeSent()
  }

  /// A new attempt begins.
  mutating func rewind() {
    nextUnsent = 0
    unsentByteCount = byteCount
  }

  private mutating func removeSent() {
    for message in messages[..<nextUnsent] { byteCount -= message.readableBytes }
    messages.removeFirst(nextUnsent)
    nextUnsent = 0
  }
}
