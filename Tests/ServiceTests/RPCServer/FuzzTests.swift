import Compression
import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

@Suite("A server under damaged bytes")
struct ServerFuzzTests {
  /// What a client may say in order, on a stream of its own: the seeds that are damaged.
  static let conversations: [@Sendable (inout FrameBuilder, UInt32) -> Void] = [
    { builder, id in
      builder.headers(id, request("Unary"))
      builder.data(id, ServerHarness.framed([1, 2, 3]), endStream: true)
    },
    { builder, id in
      builder.headers(id, request("Both") + [("grpc-timeout", "5S"), ("x-a-bin", "AQI=,Aw")])
      let bytes = ServerHarness.framed([1]) + ServerHarness.framed([]) + ServerHarness.framed([2, 3])
      for byte in bytes { builder.data(id, [byte]) }
      builder.headers(id, [("x-trailer", "1")], endStream: true)
    },
    { builder, id in
      builder.headers(id, request("Push") + [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")])
      var compressed = ByteBuffer()
      _ = Zlib.compress(ByteBuffer(repeating: 7, count: 3000), as: .gzip, into: &compressed)
      builder.data(id, ServerHarness.framed(Array(buffer: compressed), flag: 1), endStream: true)
    },
    { builder, id in
      builder.frame(.settings, [0, 4, 0, 0, 0, 100])
      builder.headers(id, request("Pull"))
      builder.data(id, ServerHarness.framed([UInt8](repeating: 9, count: 50)), endStream: true)
      builder.frame(.windowUpdate, stream: id, FrameBuilder.bigEndian(1000))
      builder.reset(id, 8)
    },
    { builder, id in
      let block = FrameBuilder.block(request("Unary"))
      builder.frame(.headers, stream: id, Array(block.prefix(30)))
      builder.frame(.continuation, flags: FrameBuilder.endHeaders, stream: id, Array(block.dropFirst(30)))
      builder.frame(.data, flags: 9, stream: id, [3] + ServerHarness.framed([5]) + [0, 0, 0])
    },
    { builder, id in
      builder.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
      builder.frame(.priority, stream: id, [0, 0, 0, 0, 16])
      builder.frame(.goAway, FrameBuilder.bigEndian(0) + FrameBuilder.bigEndian(0) + Array("bye".utf8))
    },
  ]

  static func request(_ method: String) -> [(String, String)] {
    HostilePeerTests.request.map { $0.0 == ":path" ? ($0.0, "/test.Test/\(method)") : $0 }
  }

  @Test("whatever comes after a valid start, the server neither crashes, hangs nor grows, and no call is left over")
  func damaged() async throws {
    for seed in FuzzRun.seeds(300) {
      var mutator = Mutator(seed: seed)
      var builder = FrameBuilder.clientStart()
      let start = builder.bytes.count
      for index in 0..<mutator.number(1...5) {
        Self.conversations[mutator.number(0...Self.conversations.count - 1)](&builder, UInt32(index * 2 + 1))
      }
      let harness = try await ServerHarness()
      for piece in mutator.cut(mutator.mutate(builder.bytes, from: start)) where harness.channel.isActive {
        try await harness.sendRaw(FrameBuilder(bytes: Array(piece)))
      }
      await harness.loop.advanceTime(by: .seconds(10))
      try? await harness.channel.close().get()
      await harness.loop.run()
      #expect(harness.server.callsInFlight == 0, "seed \(seed)")
      #expect(harness.sentBytes.count < 100_000, "seed \(seed)")
    }
  }
}
