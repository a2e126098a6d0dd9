import EchoTestSupport
import InProcess
import NIOCore
import RPC
import RPCServer
import Testing

/// Compression as callers and handlers see it; its bytes are held by the suites of both sides and by the interop suites.
@Suite(.timeLimit(.minutes(5))) struct CompressionTests {
  private static let text = Text(String(repeating: "compressible ", count: 1000))

  private func withServer<Result>(
    _ service: EchoService, _ body: (InProcessServer) async throws -> Result
  ) async throws -> Result {
    let server = InProcessServer(services: [service])
    do {
      let result = try await body(server)
      await server.close()
      return result
    } catch {
      await server.close()
      throw error
    }
  }

  /// Answers whether the request came compressed; gzips its responses.
  private static var service: EchoService {
    var service = EchoService()
    service.onUnary = { request, context in
      context.responseCompression.encoding = .gzip
      context.trailingMetadata.add("\(context.isRequestCompressed)", for: "x-compressed")
      return request
    }
    service.onCollect = { requests, context in
      var flags: [String] = []
      for try await _ in requests { flags.append("\(context.isRequestCompressed)") }
      return Text(flags.joined(separator: " "))
    }
    service.onExpand = { request, response, context in
      context.responseCompression.encoding = .gzip
      for compressed in [true, false, true] { try await response.write(request, compressed: compressed) }
    }
    return service
  }

  @Test("a request is compressed as the call says, and its handler is told", arguments: MessageEncoding.allCases)
  func request(encoding: MessageEncoding) async throws {
    try await withServer(Self.service) { server in
      let response = try await server.channel.unary(
        EchoService.unary, Self.text, options: CallOptions(encoding: encoding))
      #expect(response.message == Self.text)
      #expect(response.trailingMetadata["x-compressed"] == "\(encoding != .identity)")
    }
  }

  @Test("without being asked for, nothing is compressed")
  func nothing() async throws {
    try await withServer(EchoService()) { server in
      let response = try await server.channel.unary(EchoService.unary, Self.text, options: CallOptions())
      #expect(!response.wasCompressed)
    }
  }

  @Test("the caller is told whether a response came compressed; a short one does not")
  func response() async throws {
    try await withServer(Self.service) { server in
      let long = try await server.channel.unary(EchoService.unary, Self.text, options: CallOptions())
      #expect(long.message == Self.text)
      #expect(long.wasCompressed)
      let short = try await server.channel.unary(EchoService.unary, "short", options: CallOptions())
      #expect(!short.wasCompressed)
    }
  }

  @Test("single messages of a compressed stream go out as they are, both ways (W19)")
  func singleMessages() async throws {
    try await withServer(Self.service) { server in
      let told = try await server.channel.clientStreaming(
        EchoService.collect, options: CallOptions(encoding: .gzip)
      ) { writer in
        for compressed in [true, false, true] { try await writer.write(Self.text, compressed: compressed) }
        try await writer.write("short")
      }
      #expect(told.message == "true false true false")
      let flags = try await server.channel.serverStreaming(EchoService.expand, Self.text, options: CallOptions()) {
        stream in
        var flags: [Bool] = []
        for try await message in stream.messages {
          #expect(message == Self.text)
          flags.append(stream.wasLastCompressed)
        }
        return flags
      }
      #expect(flags == [true, false, true])
    }
  }
}
