import EchoTestSupport
import NIOCore
import RPC
import RPCClient
import TestSupport
import Testing

/// What the client says on the wire, and how it takes what a server does, frame by frame.
@Suite(.timeLimit(.minutes(5))) struct FrameTests {
  private let server = FrameServer()

  // MARK: Connection

  @Test("the connection begins with the preface and SETTINGS without push; every SETTINGS is acknowledged (W1, W3)")
  func preface() async throws {
    let channel = server.channel()
    let call = channel.call()
    let connection = try await server.accept(settings: nil)
    let first = try await connection.next()
    #expect(first.kind == FrameBuilder.Kind.settings.rawValue)
    #expect(first.flags & FrameBuilder.ack == 0)
    let entries = stride(from: 0, to: first.payload.count, by: 6).map { Array(first.payload[$0..<$0 + 6]) }
    #expect(entries.contains([0, 2, 0, 0, 0, 0]))

    for _ in 0..<3 { try await connection.send { $0.settings([]) } }
    var acknowledged = 0
    while acknowledged < 3 {
      let frame = try await connection.next(.settings)
      #expect(frame.flags & FrameBuilder.ack != 0)
      acknowledged += 1
    }
    try await connection.send { $0.answer(1, "one") }
    #expect(try await call.value.get() == "one")
    await channel.close()
  }

  @Test("PUSH_PROMISE, which was not allowed, is a connection error PROTOCOL_ERROR (W3)")
  func push() async throws {
    let channel = server.channel()
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    let promised =
      FrameBuilder.bigEndian(2) + FrameBuilder.block([(":method", "GET"), (":path", "/"), (":scheme", "http")])
    try await connection.send { $0.frame(.pushPromise, flags: FrameBuilder.endHeaders, stream: 1, promised) }
    let goAway = try await connection.next(.goAway)
    #expect(Array(goAway.payload[4..<8]) == FrameBuilder.bigEndian(1))
    #expect(await call.value.error?.code == .unavailable)
    await channel.close()
  }

  @Test("unknown frames, unknown settings and PRIORITY are passed over (W5)")
  func unknown() async throws {
    let channel = server.channel()
    let call = channel.call()
    let connection = try await server.accept(settings: [(0xFE03, 1), (0x7777, 5)])
    _ = try await connection.next(.headers)
    try await connection.send { builder in
      builder.frame(.priority, stream: 1, [0, 0, 0, 0, 16])
      builder.answer(1, "ok")
    }
    #expect(try await call.value.get() == "ok")
    await channel.close()
  }

  // MARK: Ends of streams

  @Test("trailers before our half-close stop the request with RST_STREAM(NO_ERROR); their status is the call's (W39)")
  func earlyTrailers() async throws {
    let channel = server.channel()
    let call = Task {
      do throws(RPCError) {
        let response = try await channel.clientStreaming(EchoService.collect, options: .init()) { writer in
          while true { try await writer.write("more") }
        }
        return Result<Text, RPCError>.success(response.message)
      } catch {
        return .failure(error)
      }
    }
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.trailersOnly(1, 9, ("grpc-message", "enough")) }
    let reset = try await connection.next(.rstStream)
    #expect(reset.payload == FrameBuilder.bigEndian(0))
    let error = await call.value.error
    #expect(error?.code == .failedPrecondition)
    #expect(error?.message == "enough")
    await channel.close()
  }

  @Test("at the deadline the stream is reset with CANCEL, and what comes later is not used (W40, W41)")
  func deadline() async throws {
    let channel = server.channel()
    let call = channel.call(options: CallOptions(deadline: server.loop.now + .milliseconds(200)))
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    await server.pass(.milliseconds(199))
    #expect(try await !connection.sent().contains { $0.kind == FrameBuilder.Kind.rstStream.rawValue })
    await server.pass(.milliseconds(1))
    let reset = try await connection.next(.rstStream)
    #expect(reset.payload == FrameBuilder.bigEndian(8))
    try await connection.send { $0.answer(1, "late") }
    #expect(await call.value.error?.code == .deadlineExceeded)
    await channel.close()
  }

  @Test("a server's CANCEL after the deadline is DEADLINE_EXCEEDED, before it CANCELLED (W41)", arguments: [0, 100])
  func cancelByServer(late: Int64) async throws {
    let channel = server.channel()
    let call = channel.call(options: CallOptions(deadline: server.loop.now + .milliseconds(100)))
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    if late > 0 { await server.pass(.milliseconds(late)) }
    try await connection.send { $0.reset(1, 8) }
    #expect(await call.value.error?.code == (late > 0 ? .deadlineExceeded : .cancelled))
    await channel.close()
  }

  @Test("messages that came before the status are read before it; then nothing more is (W42)")
  func order() async throws {
    let channel = server.channel()
    let call = Task {
      try await channel.serverStreaming(EchoService.expand, "", options: .init()) { stream in
        var seen: [String] = []
        do {
          for try await message in stream.messages { seen.append(message.value) }
        } catch let error as RPCError {
          seen.append("\(error.code)")
        }
        return seen
      }
    }
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { builder in
      builder.responseHeaders(1)
      builder.message(1, "one")
      builder.message(1, "two")
      builder.trailers(1, 10)
    }
    #expect(try await call.value == ["one", "two", "ABORTED"])
    await channel.close()
  }

  // MARK: GOAWAY

  @Test("GOAWAY: streams up to the last id go on, later ones run on a new connection, one GOAWAY answers (W43)")
  func goAway() async throws {
    let channel = server.channel()
    let first = channel.call("first")
    let old = try await server.accept()
    _ = try await old.next(.headers)
    let second = channel.call("second")
    _ = try await old.next(.headers)
    try await old.send { builder in
      builder.goAway(last: 1, code: 0)
      builder.goAway(last: 1, code: 0)
    }
    let new = try await server.accept()
    _ = try await new.next(.headers)
    try await new.send { $0.answer(1, "on the new one") }
    #expect(try await second.value.get() == "on the new one")
    #expect(old.isActive)
    try await old.send { $0.answer(1, "on the old one") }
    #expect(try await first.value.get() == "on the old one")
    let answers = try await old.sent().filter { $0.kind == FrameBuilder.Kind.goAway.rawValue }
    #expect(answers.count <= 1)
    await channel.close()
  }

  @Test("GOAWAY with an error lets accepted streams end, then the connection closes (W44)")
  func goAwayWithError() async throws {
    let channel = server.channel()
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.goAway(last: 1, code: 11, debug: "calm") }
    #expect(connection.isActive)
    try await connection.send { $0.answer(1, "still") }
    #expect(try await call.value.get() == "still")
    await server.pass(.zero)
    #expect(!connection.isActive)
    await channel.close()
  }

  // MARK: Concurrency

  @Test("calls above the server's stream limit wait; a limit that is lowered holds them until there is room (W57)")
  func streamLimit() async throws {
    let channel = server.channel()
    let first = channel.call("first")
    let connection = try await server.accept(settings: [(3, 1)])
    _ = try await connection.next(.headers)
    let second = channel.call("second")
    await server.pass(.seconds(1))
    #expect(try await !connection.sent().contains { $0.kind == FrameBuilder.Kind.headers.rawValue })
    try await connection.send { builder in
      builder.settings([(3, 0)])
      builder.answer(1, "one")
    }
    #expect(try await first.value.get() == "one")
    await server.pass(.seconds(1))
    #expect(try await !connection.sent().contains { $0.kind == FrameBuilder.Kind.headers.rawValue })
    try await connection.send { $0.settings([(3, 10)]) }
    let opened = try await connection.next(.headers)
    #expect(opened.stream == 3)
    try await connection.send { $0.answer(3, "two") }
    #expect(try await second.value.get() == "two")
    await channel.close()
  }

  @Test("resets count as the table of WIRE 2.8 says", arguments: 0...14 as ClosedRange<UInt32>)
  func resets(code: UInt32) async throws {
    let expected: [UInt32: StatusCode] = [8: .cancelled, 11: .resourceExhausted, 12: .permissionDenied]
    let channel = server.channel()
    let call = channel.call()
    let connection = try await server.accept()
    _ = try await connection.next(.headers)
    try await connection.send { $0.reset(1, code) }
    if code == 7 {
      // Not processed: repeated once without asking.
      _ = try await connection.next(.headers)
      try await connection.send { $0.reset(3, code) }
      #expect(await call.value.error?.code == .unavailable)
    } else {
      #expect(await call.value.error?.code == expected[code] ?? .internal)
    }
    await channel.close()
  }
}
