import NIOCore
import RPC
import TestSupport
import Testing

@Suite("ServerCallState")
struct ServerCallStateTests {
  static func framed(_ bytes: [UInt8]) -> [UInt8] { [0] + FrameBuilder.bigEndian(UInt32(bytes.count)) + bytes }

  static func started(_ kind: MethodKind, limit: Int = 100) -> ServerCallState {
    var state = ServerCallState(maxMessageLength: limit)
    state.start(kind, method: "/test.Test/Method")
    return state
  }

  /// What a streaming reader gets when the bytes come in pieces of random lengths.
  static func read(_ bytes: [UInt8], seed: Int, limit: Int = 100) -> (messages: [[UInt8]], failure: StatusCode?) {
    var generator = SeededGenerator(seed: UInt64(seed))
    var state = started(.bidirectionalStreaming, limit: limit)
    var buffer = ByteBuffer()
    var rest = bytes[...]
    var messages: [[UInt8]] = []
    do throws(RPCError) {
      while true {
        switch try state.next(from: &buffer) {
        case .message(let message): messages.append(Array(message.readableBytesView))
        case .end: return (messages, nil)
        case .wait where rest.isEmpty: state.receivedEnd()
        case .wait:
          let part = rest.prefix(Int.random(in: 1...9, using: &generator))
          rest = rest.dropFirst(part.count)
          buffer.writeBytes(part)
        }
      }
    } catch {
      return (messages, error.code)
    }
  }

  @Test("W17: any cut of the bytes gives the same messages", arguments: 0..<100)
  func anyCut(seed: Int) {
    let messages: [[UInt8]] = [[], [1], Array(0..<50), [], [2, 3]]
    let (read, failure) = Self.read(messages.flatMap(Self.framed), seed: seed)
    #expect(read == messages)
    #expect(failure == nil)
  }

  @Test("W22, W23: any cut of bad bytes gives the same messages and the same failure", arguments: 0..<30)
  func anyCutOfBadBytes(seed: Int) {
    let good = Self.framed([1, 2])
    let tooLong = Self.read(good + Self.framed([UInt8](repeating: 0, count: 101)), seed: seed)
    #expect(tooLong.messages == [[1, 2]])
    #expect(tooLong.failure == .resourceExhausted)
    let truncated = Self.read(good + Self.framed([1, 2, 3]).dropLast(), seed: seed)
    #expect(truncated.messages == [[1, 2]])
    #expect(truncated.failure == .internal)
  }

  @Test("W28, W30: headers go before the first message, or with the status when there is none")
  func headersOnce() {
    var streaming = Self.started(.serverStreaming)
    let sends = [streaming.sendMessage(), streaming.sendMessage(), streaming.sendStatus(), streaming.sendStatus()]
    #expect(sends == [.withHeaders, .alone, .alone, .drop])
    var immediate = Self.started(.serverStreaming)
    let only = [immediate.sendStatus(), immediate.sendMessage()]
    #expect(only == [.withHeaders, .drop])
  }

  @Test("W42: after the status nothing is read either")
  func overIsOver() throws {
    var state = Self.started(.bidirectionalStreaming)
    var buffer = ByteBuffer(bytes: Self.framed([1]))
    _ = state.sendStatus()
    let next = try state.next(from: &buffer)
    #expect(next == .end)
    #expect(state.isFinished)
  }

  @Test("an abandoned call was running only once")
  func abandoned() {
    var state = Self.started(.unary)
    let first = state.abandoned()
    let second = state.abandoned()
    let send = state.sendStatus()
    #expect(first)
    #expect(!second)
    #expect(send == .drop)
  }
}
