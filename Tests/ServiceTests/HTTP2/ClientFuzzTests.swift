import HTTP2
import NIOCore
import RPC
import TestSupport
import Testing

@Suite("A client's session under damaged bytes")
struct ClientFuzzTests {
  /// What a server may say to three calls.
  static func answers() -> [UInt8] {
    var builder = FrameBuilder()
    builder.frame(.settings, [0, 3, 0, 0, 0, 100, 0, 4, 0, 1, 0, 0])
    builder.frame(.settings, flags: FrameBuilder.ack)
    let headers = [(":status", "200"), ("content-type", "application/grpc")]
    builder.headers(1, [(":status", "103"), ("link", "x")])
    builder.headers(1, headers)
    builder.data(1, [0, 0, 0, 0, 3, 1, 2, 3])
    builder.headers(1, [("grpc-status", "0")], endStream: true)
    builder.headers(3, headers + [("grpc-status", "5"), ("grpc-message", "no %")], endStream: true)
    builder.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
    builder.frame(.windowUpdate, FrameBuilder.bigEndian(1000))
    builder.headers(5, headers)
    builder.frame(.data, flags: 8, stream: 5, [2, 0, 0, 0, 0, 0, 0, 0])
    builder.reset(5, 7)
    builder.frame(.goAway, FrameBuilder.bigEndian(3) + FrameBuilder.bigEndian(11) + Array("too_many_pings".utf8))
    return builder.bytes
  }

  @Test("whatever comes, each stream ends at most once and nothing is told of it afterwards")
  func damaged() throws {
    let answers = Self.answers()
    for seed in FuzzRun.seeds(2000) {
      var mutator = Mutator(seed: seed)
      let session = HTTP2Session(role: .client)
      for _ in 0..<3 {
        let stream = session.submitRequest([":method": "POST", ":path": "/a.B/C", ":scheme": "http"])
        if let stream { session.finishRequest(stream) }
      }
      var ended: Set<Int32> = []
      var wasBroken = false
      for piece in mutator.cut(mutator.mutate(answers)) where !wasBroken {
        do throws(HTTP2SessionError) {
          var output = ByteBuffer()
          _ = try session.produce(into: &output)
          let result: Result<Void, HTTP2SessionError> = piece.withUnsafeBytes { bytes in
            do throws(HTTP2SessionError) { return .success(try session.receive(bytes)) } catch {
              return .failure(error)
            }
          }
          while let event = session.nextEvent() {
            guard let id = Self.stream(of: event) else { continue }
            #expect(!ended.contains(id), "seed \(seed)")
            if case .closed = event { ended.insert(id) }
          }
          try result.get()
        } catch {
          wasBroken = true
        }
      }
      #expect(ended.count + session.liveStreams.count == 3, "seed \(seed)")
    }
  }

  private static func stream(of event: HTTP2Event) -> Int32? {
    switch event {
    case .headers(let stream, _, _), .trailers(let stream, _), .data(let stream, _), .writable(let stream),
      .closed(let stream, _):
      stream.id
    default: nil
    }
  }
}
