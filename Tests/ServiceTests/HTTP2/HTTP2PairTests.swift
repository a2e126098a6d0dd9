import HTTP2
import NIOCore
import RPC
import TestSupport
import Testing

@Suite("HTTP2Session, a client and a server joined")
struct HTTP2PairTests {
  static let request: HeaderFields = [
    ":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "h", "content-type": "application/grpc",
    "te": "trailers",
  ]

  @Test("a call goes there and back")
  func roundTrip() throws {
    let pair = SessionPair()
    let call = try #require(pair.client.session.submitRequest(Self.request))
    call.outbound.writeBytes([0, 0, 0, 0, 1, 7])
    pair.client.session.finishRequest(call)
    try pair.run()
    #expect(pair.server.log.contains("headers 1"))
    #expect(pair.server.log.contains("data 1 [0, 0, 0, 0, 1, 7] end"))
    let served = try #require(pair.server.session.liveStreams.first)
    served.outbound.writeBytes([0, 0, 0, 0, 1, 8])
    pair.server.session.submitResponse(served, fixed: HTTP2ServerSessionTests.okHeaders, extra: ["x-a": "b"])
    pair.server.session.finishResponse(served, fixed: nil, extra: ["grpc-status": "0"])
    try pair.run()
    #expect(
      pair.client.log.suffix(4) == ["headers 1", "data 1 [0, 0, 0, 0, 1, 8]", "trailers 1", "closed 1"])
    #expect(pair.server.log.last == "closed 1")
  }

  @Test("W43: streams above the GOAWAY's last id close as refused, the others go on")
  func goAway() throws {
    let pair = SessionPair()
    _ = pair.client.session.submitRequest(Self.request)
    try pair.run()
    _ = pair.client.session.submitRequest(Self.request)
    pair.server.session.finishShutdown()
    try pair.run()
    #expect(pair.client.log.contains("goaway 1 NO_ERROR "))
    #expect(pair.client.log.contains("closed 3 REFUSED_STREAM"))
    #expect(pair.client.session.liveStreams.map(\.id) == [1])
  }

  @Test("a request that GOAWAY overtook, before it was sent, closes as refused")
  func requestAfterGoAway() throws {
    let pair = SessionPair()
    try pair.run()
    pair.server.session.finishShutdown()
    try pair.run()
    let late = pair.client.session.submitRequest(Self.request)
    try pair.run()
    let told = pair.client.log.contains("closed 1 REFUSED_STREAM")
    #expect(late == nil || told)
    #expect(pair.client.session.liveStreams.isEmpty)
  }

  @Test("a cancelled call is closed on both sides; one that was never sent too")
  func cancel() throws {
    let pair = SessionPair()
    let sent = try #require(pair.client.session.submitRequest(Self.request))
    try pair.run()
    pair.client.session.reset(sent, .cancel)
    let unsent = try #require(pair.client.session.submitRequest(Self.request))
    pair.client.session.reset(unsent, .cancel)
    try pair.run()
    #expect(pair.server.log.last == "closed 1 CANCEL by peer")
    #expect(pair.client.log.suffix(2).sorted() == ["closed 1 CANCEL", "closed 3 CANCEL"])
    #expect(pair.client.session.liveStreams.isEmpty)
  }

  @Test("a body larger than the windows arrives whole, as the reader consumes it")
  func largeBody() throws {
    let pair = SessionPair()
    let call = try #require(pair.client.session.submitRequest(Self.request))
    let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    call.outbound.writeBytes(body)
    pair.client.session.finishRequest(call)
    #expect(pair.client.session.isOutboundFull(call))
    var received: [UInt8] = []
    var rounds = 0
    while received.count < body.count, rounds < 100 {
      rounds += 1
      try pair.run()
      let stream = try #require(pair.server.session.liveStreams.first)
      let part = Array(stream.inbound.readableBytesView)
      #expect(part.count <= 256 * 1024)
      stream.inbound.clear()
      received += part
      pair.server.session.consume(part.count, on: stream)
    }
    #expect(received == body)
    #expect(pair.client.log.contains("writable 1"))
  }

  @Test("a PING of ours is answered")
  func ping() throws {
    let pair = SessionPair()
    pair.server.session.ping(0x0102_0304_0506_0708)
    try pair.run()
    #expect(pair.server.log.contains("ping ack \(UInt64(0x0102_0304_0506_0708))"))
  }
}

/// Moves bytes between two sessions until both are quiet.
struct SessionPair {
  let client = SessionUnderTest(role: .client)
  let server = SessionUnderTest()

  func run() throws {
    var isQuiet = false
    while !isQuiet {
      let up = try client.bytes()
      try up.withUnsafeBytes { try server.session.receive($0) }
      server.drain()
      let down = try server.bytes()
      try down.withUnsafeBytes { try client.session.receive($0) }
      client.drain()
      isQuiet = up.isEmpty && down.isEmpty
    }
  }
}
