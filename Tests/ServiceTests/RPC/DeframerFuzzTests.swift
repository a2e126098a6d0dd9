import NIOCore
import RPC
import TestSupport
import Testing

@Suite("The deframer under damaged bytes")
struct DeframerFuzzTests {
  static let limit = 2000

  /// What a deframer makes of bytes: its messages, and how it ended.
  static func read(_ pieces: [ArraySlice<UInt8>], _ encoding: MessageEncoding) -> (messages: [[UInt8]], end: String) {
    var deframer = MessageDeframer(maxMessageLength: limit)
    deframer.encoding = encoding
    var buffer = ByteBuffer()
    var messages: [[UInt8]] = []
    for piece in pieces {
      buffer.writeBytes(piece)
      do throws(RPCError) {
        while let message = try deframer.next(from: &buffer) { messages.append(Array(buffer: message)) }
      } catch {
        return (messages, "\(error)")
      }
    }
    return (messages, deframer.isInsideMessage(buffer) ? "inside a message" : "whole")
  }

  @Test(
    "W17, W22: damaged messages give the same messages and the same end however they are cut, and none over the limit")
  func damaged() {
    for seed in FuzzRun.seeds(3000) {
      var mutator = Mutator(seed: seed)
      let encoding = MessageEncoding.allCases[mutator.number(0...2)]
      var stream = ByteBuffer()
      for _ in 0..<mutator.number(1...4) {
        let message = ByteBuffer(repeating: UInt8(mutator.number(0...255)), count: mutator.number(0...Self.limit + 20))
        MessageFraming.write(message, as: encoding, into: &stream)
      }
      let bytes = mutator.mutate(Array(buffer: stream), most: 3)
      let whole = Self.read([bytes[...]], encoding)
      let inPieces = Self.read(mutator.cut(bytes), encoding)
      #expect(whole.messages == inPieces.messages, "seed \(seed)")
      #expect(whole.end == inPieces.end, "seed \(seed)")
      #expect(whole.messages.allSatisfy { $0.count <= Self.limit }, "seed \(seed)")
    }
  }
}
