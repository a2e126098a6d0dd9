import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

@Suite("A server's calls")
struct CallTests {
  @Test("W28, W29: a unary call is answered with headers, one message and OK trailers")
  func unary() async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1, 2, 3]))
    #expect(reply.headers == [":status": "200", "content-type": "application/grpc"])
    #expect(reply.body == [0, 0, 0, 0, 3, 1, 2, 3])
    #expect(reply.trailers == ["grpc-status": "0"])
    #expect(reply.isClosed && reply.reset == nil)
  }

  @Test("W17: any cut of a request's bytes gives the same answer", arguments: [1, 2, 5, 9, 50])
  func anyCut(size: Int) async throws {
    let harness = try await ServerHarness()
    let stream = harness.open(ServerHarness.request("Push"))
    stream.outbound.writeBytes(ServerHarness.framed([1, 2]) + ServerHarness.framed([]) + ServerHarness.framed([3]))
    harness.client.finishRequest(stream)
    var all = ByteBuffer()
    _ = try harness.client.produce(into: &all)
    while let part = all.readSlice(length: min(size, all.readableBytes)), part.readableBytes > 0 {
      try await harness.channel.writeInbound(part)
    }
    try await harness.exchange()
    #expect(harness.replies[1]?.messages == [[1, 2, 3]])
    #expect(harness.replies[1]?.status == "0")
  }

  @Test("a server-streaming call sends each message, then the status")
  func serverStreaming() async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(ServerHarness.request("Pull"), ServerHarness.framed([7, 8, 9]))
    #expect(reply.messages == [[7], [8], [9]])
    #expect(reply.trailers == ["grpc-status": "0"])
  }

  @Test("a bidirectional call answers while the caller still speaks")
  func bidirectional() async throws {
    let harness = try await ServerHarness()
    let stream = harness.open(ServerHarness.request("Both"))
    stream.outbound.writeBytes(ServerHarness.framed([1]))
    harness.client.resume(stream)
    try await harness.exchange()
    #expect(harness.replies[1]?.messages == [[1]])
    stream.outbound.writeBytes(ServerHarness.framed([2]))
    harness.client.finishRequest(stream)
    try await harness.exchange()
    #expect(harness.replies[1]?.messages == [[1], [2]])
    #expect(harness.replies[1]?.status == "0")
  }

  @Test("W6: an unknown method is UNIMPLEMENTED, in one block (W30)", arguments: ["Nope", "unary", "Unary/", ""])
  func unknownMethod(name: String) async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(ServerHarness.request(name), ServerHarness.framed([]))
    #expect(reply.isTrailersOnly)
    #expect(reply.status == "12")
  }

  @Test(
    "W8: what is not gRPC gets 415 without a body",
    arguments: ["text/plain", "application/grpc-web", "application/grpcx"])
  func notGRPC(type: String) async throws {
    let harness = try await ServerHarness()
    var fields: HeaderFields = [":method": "POST", ":scheme": "http", ":path": "/test.Test/Unary", ":authority": "t"]
    fields.append("content-type", type)
    let reply = try await harness.call(fields, ServerHarness.framed([1]))
    #expect(reply.isTrailersOnly)
    #expect(reply.headers[":status"] == "415")
    #expect(reply.status == nil)
  }

  @Test(
    "W9: a malformed timeout is INTERNAL, an elapsed one DEADLINE_EXCEEDED", arguments: [("1x", "13"), ("0n", "4")])
  func badTimeout(value: String, status: String) async throws {
    let harness = try await ServerHarness(
      TestService(unary: { _, _ in
        Issue.record("the handler ran")
        return Bytes("")
      }))
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-timeout", value)]), ServerHarness.framed([]))
    #expect(reply.status == status)
  }

  @Test("W12: host stands in for a missing :authority")
  func host() async throws {
    let harness = try await ServerHarness(TestService(unary: { _, context in Bytes(context.authority) }))
    let fields: HeaderFields = [
      ":method": "POST", ":scheme": "http", ":path": "/test.Test/Unary", "host": "from-host",
      "content-type": "application/grpc",
    ]
    let reply = try await harness.call(fields, ServerHarness.framed([]))
    #expect(reply.messages == [Array("from-host".utf8)])
  }

  @Test("W15: metadata goes in, and initial and trailing metadata come out")
  func metadata() async throws {
    let harness = try await ServerHarness(
      TestService(unary: { _, context in
        context.initialMetadata = ["x-initial": "i"]
        context.trailingMetadata = ["x-trailing-bin": .binary(context.requestMetadata[binary: "x-bytes-bin"] ?? [])]
        return Bytes(context.requestMetadata["x-text"] ?? "")
      }))
    let more = [("x-text", "hello"), ("x-bytes-bin", "Zm9v"), ("grpc-secret", "no")]
    let reply = try await harness.call(ServerHarness.request("Unary", more), ServerHarness.framed([]))
    #expect(reply.messages == [Array("hello".utf8)])
    #expect(reply.headers["x-initial"] == "i")
    #expect(reply.trailers["x-trailing-bin"] == "Zm9v")
  }

  @Test("W16: headers over the limit end the call, not the connection")
  func headerLimit() async throws {
    let harness = try await ServerHarness()
    let big = [("x-big", String(repeating: "b", count: 9000))]
    let refused = try await harness.call(ServerHarness.request("Unary", big), ServerHarness.framed([]))
    #expect(refused.status == "8")
    let served = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    #expect(served.status == "0")
  }

  @Test("W22: the limit holds at the prefix, inclusive", arguments: [(10, "0"), (11, "8")])
  func messageLimit(length: Int, status: String) async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxMessageLength = 10
    let harness = try await ServerHarness(configuration: configuration)
    let body = ServerHarness.framed([UInt8](repeating: 1, count: length))
    let reply = try await harness.call(ServerHarness.request("Unary"), body)
    #expect(reply.status == status)
  }

  @Test("W22: only the prefix is waited for; W38: RST_STREAM(NO_ERROR) follows the early answer")
  func prefixOnly() async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(ServerHarness.request("Unary"), [0, 0x7F, 0, 0, 0], end: false)
    #expect(reply.status == "8")
    #expect(reply.isClosed && reply.reset == .noError)
  }

  @Test("W23: a request that ends inside a message is INTERNAL", arguments: [[0], [0, 0, 0, 0, 2, 1]] as [[UInt8]])
  func truncated(body: [UInt8]) async throws {
    let harness = try await ServerHarness()
    #expect(try await harness.call(ServerHarness.request("Unary"), body).status == "13")
    #expect(try await harness.call(ServerHarness.request("Push"), body).status == "13")
  }

  @Test("W24: a message that does not parse is INTERNAL")
  func unparsable() async throws {
    let harness = try await ServerHarness()
    #expect(try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([0xFF])).status == "13")
    #expect(try await harness.call(ServerHarness.request("Push"), ServerHarness.framed([0xFF])).status == "13")
  }

  @Test("W25: not exactly one request message is UNIMPLEMENTED", arguments: ["Unary", "Pull"], [0, 2])
  func cardinality(method: String, count: Int) async throws {
    let harness = try await ServerHarness(
      TestService(
        unary: { _, _ in
          Issue.record("the handler ran")
          return Bytes("")
        }, pull: { _, _, _ in Issue.record("the handler ran") }))
    let body = [[UInt8]](repeating: ServerHarness.framed([1]), count: count).flatMap { $0 }
    #expect(try await harness.call(ServerHarness.request(method), body).status == "12")
  }

  @Test("W27: the handler waits for the half-close")
  func halfClose() async throws {
    let harness = try await ServerHarness()
    let stream = harness.open(ServerHarness.request("Unary"))
    stream.outbound.writeBytes(ServerHarness.framed([1]))
    harness.client.resume(stream)
    try await harness.exchange()
    #expect(harness.replies[1]?.headers == [:])
    harness.client.finishRequest(stream)
    try await harness.exchange()
    #expect(harness.replies[1]?.status == "0")
  }

  @Test("W30, W31: an error before the first message is one block, its text percent-encoded")
  func handlerError() async throws {
    let harness = try await ServerHarness(
      TestService(unary: { _, _ in throw RPCError(.notFound, "Nicht für \n dich", metadata: ["x-why": "because"]) }))
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([]))
    #expect(reply.isTrailersOnly)
    #expect(reply.headers["grpc-status"] == "5")
    #expect(reply.headers["grpc-message"] == "Nicht f%C3%BCr %0A dich")
    #expect(reply.headers["x-why"] == "because")
  }

  @Test("W32: details travel as a google.rpc.Status of the same code")
  func details() async throws {
    let harness = try await ServerHarness(
      TestService(unary: { _, _ in
        throw RPCError(.notFound, "m", details: [.other(typeURL: "t/x", value: [1])])
      }))
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([]))
    // By hand: code = 5 (08 05), message = "m" (12 01 6d), details = Any { type_url = "t/x", value = 01 }.
    let expected: [UInt8] = [0x08, 5, 0x12, 1, 0x6D, 0x1A, 8, 0x0A, 3, 0x74, 0x2F, 0x78, 0x12, 1, 1]
    #expect(Base64.decode(Array((reply.headers["grpc-status-details-bin"] ?? "").utf8)) == expected)
  }

  @Test("WIRE 2.9: an error that is no status is UNKNOWN and its text stays inside")
  func foreignError() async throws {
    struct Secret: Error, CustomStringConvertible { var description: String { "password" } }
    let harness = try await ServerHarness(TestService(unary: { _, _ in throw Secret() }))
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([]))
    #expect(reply.status == "2")
    #expect(reply.message?.contains("password") == false)
  }

  @Test("an error after messages comes in the trailers")
  func lateError() async throws {
    let harness = try await ServerHarness(
      TestService(pull: { _, response, _ in
        try await response.write(Bytes("one"))
        throw RPCError(.aborted, "stop")
      }))
    let reply = try await harness.call(ServerHarness.request("Pull"), ServerHarness.framed([]))
    #expect(reply.messages == [Array("one".utf8)])
    #expect(reply.trailers == ["grpc-status": "10", "grpc-message": "stop"])
  }

  @Test("metadata that cannot be sent does not hang the call")
  func illegalMetadata() async throws {
    let harness = try await ServerHarness(
      TestService(unary: { request, context in
        context.trailingMetadata = ["grpc-status": "0"]
        return request
      }))
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    #expect(reply.status == "13")
  }

  @Test("S3-large-outgoing-headers: so do trailers that a generous limit allows, and the library does not send")
  func trailersOverTheLibrarysLimit() async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxResponseHeaderListSize = 1 << 20
    let harness = try await ServerHarness(
      TestService(unary: { _, context in
        context.trailingMetadata.add(String(repeating: "v", count: 70_000), for: "x-big")
        return Bytes("")
      }), configuration: configuration)
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([]))
    #expect(reply.status == "8")
  }

  @Test("W16, S3-large-outgoing-headers: trailers over the limit become RESOURCE_EXHAUSTED")
  func largeTrailers() async throws {
    let harness = try await ServerHarness(
      TestService(unary: { request, context in
        context.trailingMetadata = ["x-big": .ascii(String(repeating: "b", count: 100_000))]
        return request
      }))
    let reply = try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([1]))
    #expect(reply.status == "8")
  }

  @Test("a response over the send limit is RESOURCE_EXHAUSTED", arguments: ["Unary", "Pull", "Push"])
  func sendLimit(method: String) async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxSendMessageLength = 4
    let harness = try await ServerHarness(
      TestService(pull: { request, response, _ in try await response.write(request) }), configuration: configuration)
    let reply = try await harness.call(ServerHarness.request(method), ServerHarness.framed([1, 2, 3, 4, 5]))
    #expect(reply.status == "8")
    #expect(reply.messages.isEmpty)
  }

  @Test("calls over the limit in flight are refused, and count again when others end")
  func inFlightLimit() async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxCallsInFlight = 1
    let harness = try await ServerHarness(configuration: configuration)
    let first = harness.open(ServerHarness.request("Both"))
    try await harness.exchange()
    #expect(try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([])).status == "8")
    harness.client.finishRequest(first)
    try await harness.exchange()
    #expect(try await harness.call(ServerHarness.request("Unary"), ServerHarness.framed([])).status == "0")
  }
}
