import NIOCore
import RPC
import RPCServer
import Synchronization
import TestSupport
import Testing

@Suite("How a server's calls end: deadlines, cancellation, backpressure")
struct EndOfCallTests {
  /// A handler that waits until it is released, whatever happens, and notes when it was cancelled.
  final class Stubborn: Sendable {
    private let waiting = Mutex<CheckedContinuation<Void, Never>?>(nil)
    let wasCancelled = Mutex(false)

    func run() async {
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in waiting.withLock { $0 = continuation } }
      } onCancel: {
        wasCancelled.withLock { $0 = true }
      }
    }

    func release() { waiting.withLock { $0.take() }?.resume() }
  }

  @Test("WIRE 1.5: the runtime ends a call at its deadline, even if the handler ignores its cancellation")
  func deadline() async throws {
    let stubborn = Stubborn()
    let harness = try await ServerHarness(
      TestService(unary: { request, _ in
        await stubborn.run()
        return request
      }))
    let early = try await harness.call(
      ServerHarness.request("Unary", [("grpc-timeout", "200m")]), ServerHarness.framed([1]))
    #expect(early == Reply())
    try await harness.advance(by: .milliseconds(199))
    #expect(harness.replies[1] == Reply())
    try await harness.advance(by: .milliseconds(1))
    #expect(harness.replies[1]?.status == "4")
    #expect(stubborn.wasCancelled.withLock { $0 })
    stubborn.release()
    try await harness.exchange()
    #expect(harness.replies[1]?.body == [])
  }

  @Test("each call has its own deadline, whatever the order in which they came")
  func severalDeadlines() async throws {
    let harness = try await ServerHarness()
    for timeout in ["300m", "100m", "200m"] {
      _ = harness.open(ServerHarness.request("Both", [("grpc-timeout", timeout)]))
    }
    try await harness.exchange()
    var ended: [Set<Int32>] = []
    for _ in 0..<3 {
      try await harness.advance(by: .milliseconds(100))
      ended.append(Set(harness.replies.filter { $0.value.status == "4" }.keys))
    }
    #expect(ended == [[3], [3, 5], [1, 3, 5]])
  }

  @Test("the handler sees the deadline that the caller set")
  func deadlineInContext() async throws {
    let harness = try await ServerHarness(
      TestService(unary: { _, context in
        Bytes(context.deadline.map { "\(($0 - .uptimeNanoseconds(0)).nanoseconds)" } ?? "none")
      }))
    let bounded = try await harness.call(
      ServerHarness.request("Unary", [("grpc-timeout", "1500u")]), ServerHarness.framed([]))
    #expect(bounded.messages == [Array("1500000".utf8)])
    let unbounded = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([]))
    #expect(unbounded.messages == [Array("none".utf8)])
  }

  @Test("W40: RST_STREAM(CANCEL) cancels the handler and wakes its reader")
  func cancellation() async throws {
    let ending = AsyncStream<String>.makeStream()
    let harness = try await ServerHarness(
      TestService(push: { requests, _ in
        do {
          for try await _ in requests {}
          ending.continuation.yield("in order")
        } catch {
          let code = (error as? RPCError)?.code.description ?? "\(error)"
          ending.continuation.yield("\(code) \(Task.isCancelled)")
        }
        return Bytes("")
      }))
    let stream = harness.open(ServerHarness.request("Push"))
    try await harness.exchange()
    harness.client.reset(stream, .cancel)
    try await harness.exchange()
    #expect(await ending.stream.first { _ in true } == "CANCELLED true")
    #expect(try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1])).status == "0")
  }

  @Test("a lost connection cancels its handlers")
  func lostConnection() async throws {
    let ending = AsyncStream<Bool>.makeStream()
    let harness = try await ServerHarness(
      TestService(push: { requests, _ in
        _ = try? await requests.first { _ in false }
        ending.continuation.yield(Task.isCancelled)
        return Bytes("")
      }))
    _ = harness.open(ServerHarness.request("Push"))
    try await harness.exchange()
    try await harness.channel.close().get()
    #expect(await ending.stream.first { _ in true } == true)
    #expect(harness.server.callsInFlight == 0)
  }

  @Test("a writer waits when the caller does not read, and goes on when it does")
  func backpressure() async throws {
    let written = Mutex(0)
    let harness = try await ServerHarness(
      TestService(pull: { _, response, _ in
        for _ in 0..<100 {
          try await response.write(Bytes([UInt8](repeating: 7, count: 10_000)))
          written.withLock { $0 += 1 }
        }
      }))
    harness.consumes = false
    let call = harness.open(ServerHarness.request("Pull"))
    call.outbound.writeBytes(ServerHarness.framed([]))
    harness.client.finishRequest(call)
    try await harness.exchange()
    let stalled = written.withLock { $0 }
    // The client's window of 256 KiB and the server's buffer of 64 KiB, in messages of 10 005 bytes.
    #expect((26...34).contains(stalled))
    #expect(harness.replies[1]?.trailers == [:])
    harness.consumes = true
    harness.client.consumeTaken(on: call)
    try await harness.exchange()
    let reply = try await harness.waitForEnd(of: 1)
    #expect(reply.messages.count == 100)
    #expect(reply.status == "0")
  }

  @Test("a caller waits when the handler does not read")
  func requestBackpressure() async throws {
    let stubborn = Stubborn()
    let harness = try await ServerHarness(
      TestService(push: { requests, _ in
        await stubborn.run()
        var count = 0
        for try await request in requests { count += request.bytes.count }
        return Bytes("\(count)")
      }))
    let call = harness.open(ServerHarness.request("Push"))
    for _ in 0..<100 { call.outbound.writeBytes(ServerHarness.framed([UInt8](repeating: 7, count: 10_000))) }
    harness.client.finishRequest(call)
    try await harness.exchange()
    #expect(call.outbound.readableBytes >= 100 * 10_005 - 256 * 1024)
    stubborn.release()
    let reply = try await harness.waitForEnd(of: 1)
    #expect(reply.messages == [Array("1000000".utf8)])
  }

  @Test("a message larger than the stream's window arrives")
  func largeMessage() async throws {
    let harness = try await ServerHarness()
    let body = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
    for method in ["Unary", "Both"] {
      let reply = try await harness.call(ServerHarness.request(method), ServerHarness.framed(body))
      #expect(reply.messages == [body])
      #expect(reply.status == "0")
    }
  }
}
