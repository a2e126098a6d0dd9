import Compression
import NIOCore
import RPC
import RPCServer
import TestSupport
import Testing

@Suite("A server and compressed messages")
struct CompressionTests {
  static let text = [UInt8](repeating: UInt8(ascii: "a"), count: 5000)
  static let formats: [String: Zlib.Format] = ["gzip": .gzip, "deflate": .zlib]

  static func compressed(_ bytes: [UInt8], _ encoding: String) throws -> [UInt8] {
    var buffer = ByteBuffer()
    _ = Zlib.compress(ByteBuffer(bytes: bytes), as: try #require(formats[encoding]), into: &buffer)
    return Array(buffer: buffer)
  }

  /// The messages of a reply with whether each was compressed, inflated.
  static func inflated(_ reply: Reply) throws -> [(isCompressed: Bool, bytes: [UInt8])] {
    var rest = reply.body[...]
    return try reply.messages.map { message in
      let isCompressed = rest.first == 1
      rest = rest.dropFirst(5 + message.count)
      guard isCompressed else { return (false, message) }
      let format = try #require(formats[reply.headers["grpc-encoding"] ?? ""])
      return (true, Array(buffer: try Zlib.decompress(ByteBuffer(bytes: message), as: format, limit: 1 << 20)))
    }
  }

  @Test("W18, W19, W20: a compressed request is read", arguments: ["gzip", "deflate"])
  func request(encoding: String) async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-encoding", encoding)]),
      ServerHarness.framed(try Self.compressed(Self.text, encoding), flag: 1))
    #expect(reply.status == "0")
    #expect(reply.messages == [Self.text])
    #expect(reply.headers["grpc-encoding"] == nil, "the caller listed nothing (W21)")
    #expect(reply.headers["grpc-accept-encoding"] == "identity,deflate,gzip", "W21: what was sent is listed")
  }

  @Test("W19: each message is compressed or not on its own, and one of no bytes is legal both ways")
  func mixed() async throws {
    let harness = try await ServerHarness()
    let body =
      ServerHarness.framed(try Self.compressed(Self.text, "gzip"), flag: 1) + ServerHarness.framed([1])
      + ServerHarness.framed([], flag: 1) + ServerHarness.framed([])
      + ServerHarness.framed(try Self.compressed(Self.text, "gzip"), flag: 1)
    let reply = try await harness.call(ServerHarness.request("Both", [("grpc-encoding", "gzip")]), body)
    #expect(reply.messages == [Self.text, [1], [], [], Self.text])
  }

  @Test(
    "W18: a flag without an encoding, and one that is not defined, are INTERNAL",
    arguments: [(1, nil), (1, "identity"), (2, nil), (2, "gzip"), (255, "gzip")] as [(UInt8, String?)])
  func flags(flag: UInt8, encoding: String?) async throws {
    let harness = try await ServerHarness()
    let more = encoding.map { [("grpc-encoding", $0)] } ?? []
    let reply = try await harness.call(ServerHarness.request("Unary", more), ServerHarness.framed([1], flag: flag))
    #expect(reply.status == "13")
  }

  @Test(
    "W20: an unknown encoding is UNIMPLEMENTED, compressed or not, and the answer lists what is known",
    arguments: ["br", "snappy", "Gzip", "gzip,deflate", "x"], [UInt8(0), 1])
  func unknownEncoding(encoding: String, flag: UInt8) async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-encoding", encoding)]), ServerHarness.framed([1], flag: flag))
    #expect(reply.status == "12")
    #expect(reply.headers["grpc-accept-encoding"] == "identity,deflate,gzip")
  }

  @Test("W20: what cannot be inflated is INTERNAL", arguments: ["gzip", "deflate"])
  func corrupt(encoding: String) async throws {
    let harness = try await ServerHarness()
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-encoding", encoding)]), ServerHarness.framed([1, 2, 3], flag: 1))
    #expect(reply.status == "13")
  }

  @Test("W22: the receive limit holds for the inflated size", arguments: [(5000, "0"), (4999, "8")])
  func inflatedLimit(limit: Int, status: String) async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxMessageLength = limit
    let harness = try await ServerHarness(configuration: configuration)
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-encoding", "gzip")]),
      ServerHarness.framed(try Self.compressed(Self.text, "gzip"), flag: 1))
    #expect(reply.status == status)
  }

  @Test("W22: the refusal names method, size, limit and option")
  func limitText() async throws {
    var configuration = RPCServerConfiguration()
    configuration.maxMessageLength = 10
    let harness = try await ServerHarness(configuration: configuration)
    let body = ServerHarness.framed([UInt8](repeating: 1, count: 11))
    let reply = try await harness.call(ServerHarness.request("Unary"), body)
    #expect(
      reply.message
        == "A message of /test.Test/Unary with 11 bytes is larger than the limit of 10 bytes (option: maxMessageLength)."
    )
  }

  @Test(
    "W21: the response has the server's encoding if the caller lists it",
    arguments: [
      ("identity,deflate,gzip", "gzip"), ("identity, gzip", "gzip"), ("deflate", nil), ("br", nil), ("", nil),
    ]
      as [(String, String?)])
  func response(accepted: String, encoding: String?) async throws {
    var configuration = RPCServerConfiguration()
    configuration.responseEncoding = .gzip
    let harness = try await ServerHarness(configuration: configuration)
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-accept-encoding", accepted)]), ServerHarness.framed(Self.text))
    #expect(reply.headers["grpc-encoding"] == encoding)
    let messages = try Self.inflated(reply)
    #expect(messages.map(\.bytes) == [Self.text])
    #expect(messages.map(\.isCompressed) == [encoding != nil])
  }

  @Test("short messages are not compressed: n - 1 is not, n is", arguments: [(1023, false), (1024, true)])
  func minimum(length: Int, isCompressed: Bool) async throws {
    var configuration = RPCServerConfiguration()
    configuration.responseEncoding = .deflate
    let harness = try await ServerHarness(configuration: configuration)
    let reply = try await harness.call(
      ServerHarness.request("Unary", [("grpc-accept-encoding", "deflate")]),
      ServerHarness.framed([UInt8](repeating: 7, count: length)))
    #expect(try Self.inflated(reply).map(\.isCompressed) == [isCompressed])
    #expect(try Self.inflated(reply).map(\.bytes.count) == [length])
  }

  @Test("a handler chooses the encoding, message by message")
  func handlersChoice() async throws {
    let harness = try await ServerHarness(
      TestService(pull: { _, response, context in
        context.responseCompression = ResponseCompression(encoding: .gzip)
        try await response.write(Bytes(Self.text))
        context.responseCompression.isOn = false
        try await response.write(Bytes(Self.text))
      }))
    let reply = try await harness.call(
      ServerHarness.request("Pull", [("grpc-accept-encoding", "gzip")]), ServerHarness.framed([]))
    let messages = try Self.inflated(reply)
    #expect(messages.map(\.isCompressed) == [true, false])
    #expect(messages.allSatisfy { $0.bytes == Self.text })
  }

  @Test("a handler learns whether the message it took was compressed")
  func handlerIsTold() async throws {
    let harness = try await ServerHarness(
      TestService(both: { requests, response, context in
        for try await _ in requests { try await response.write(Bytes([context.isRequestCompressed ? 1 : 0])) }
      }))
    let compressed = ServerHarness.framed(try Self.compressed(Self.text, "gzip"), flag: 1)
    let reply = try await harness.call(
      ServerHarness.request("Both", [("grpc-encoding", "gzip")]), compressed + ServerHarness.framed([1]) + compressed)
    #expect(reply.messages == [[1], [0], [1]])
  }
}
