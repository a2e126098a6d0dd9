internal import ArgumentParser
internal import EchoTestSupport
internal import Foundation
internal import NIOCore
internal import RPC
internal import RPCClient
internal import Sockets

/// Makes one call, or the same call several times in a row, and prints what came of each.
struct Call: AsyncParsableCommand {
  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case unary, serverStreaming, clientStreaming, bidirectional
  }

  @OptionGroup var options: TargetOptions
  @Option(help: "The method.") var path = "/test.Echo/Unary"
  @Option(help: "The kind of method.") var kind = Kind.unary
  @Option(help: "The request message; may be repeated where requests are streamed.") var message: [String] = []
  @Option(help: "The deadline.") var timeoutMillis: Int64?
  @Flag(help: "Wait while the target cannot be reached.") var waitForReady = false
  @Option(help: "Custom metadata, name=value; a -bin value in hexadecimal.") var metadata: [String] = []
  @Option(help: "How requests are compressed: identity, deflate or gzip.") var encoding = MessageEncoding.identity
  @Option(help: "How many calls, one after the other.") var count = 1

  struct Result: Encodable {
    var code: String
    var message: String
    var responses: [String]
    var initial: [[String]]
    var trailing: [[String]]
  }

  func run() async throws {
    let channel = try options.channel()
    for _ in 0..<count { try report(await result(channel)) }
    await channel.close()
  }

  private func result(_ channel: RPCClientChannel) async throws -> Result {
    var result = Result(code: "OK", message: "", responses: [], initial: [], trailing: [])
    do {
      switch kind {
      case .unary:
        let response = try await channel.unary(
          try method(.unary), Text(message.first ?? ""), options: try callOptions())
        result.take(response)
      case .clientStreaming:
        let response = try await channel.clientStreaming(
          try method(.clientStreaming), options: try callOptions(), requests: write)
        result.take(response)
      case .serverStreaming:
        let responses = Responses()
        do {
          try await channel.serverStreaming(
            try method(.serverStreaming), Text(message.first ?? ""), options: try callOptions(), body: responses.read)
        } catch { result.fail(error) }
        await result.take(responses)
      case .bidirectional:
        let responses = Responses()
        do {
          try await channel.bidirectionalStreaming(
            try method(.bidirectionalStreaming), options: try callOptions(), requests: write, body: responses.read)
        } catch { result.fail(error) }
        await result.take(responses)
      }
    } catch {
      result.fail(error)
    }
    return result
  }

  @Sendable private func write(_ writer: RequestWriter<Text>) async throws {
    for text in message { try await writer.write(Text(text)) }
  }

  private func method(_ kind: MethodKind) throws -> MethodDescriptor<Text, Text> {
    let parts = path.split(separator: "/")
    guard parts.count == 2 else { throw ValidationError("The path is /service/method.") }
    return MethodDescriptor(service: String(parts[0]), name: String(parts[1]), kind: kind)
  }

  private func callOptions() throws -> CallOptions {
    var options = CallOptions(waitForReady: waitForReady, encoding: encoding)
    options.deadline = timeoutMillis.map { .now() + .milliseconds($0) }
    for entry in metadata {
      guard let equals = entry.firstIndex(of: "=") else { throw ValidationError("Metadata is name=value.") }
      let (name, value) = (String(entry[..<equals]), String(entry[entry.index(after: equals)...]))
      options.metadata.add(name.hasSuffix("-bin") ? .binary(Hex.bytes(value)) : .ascii(value), for: name)
    }
    return options
  }
}

/// What a stream of responses held.
private actor Responses {
  private(set) var messages: [String] = []
  private(set) var initial: Metadata = [:]
  private(set) var trailing: Metadata = [:]

  func read(_ stream: ClientStream<Text>) async throws {
    defer { trailing = stream.trailingMetadata }
    for try await message in stream.messages { messages.append(message.value) }
    initial = try await stream.initialMetadata
  }
}

extension Call.Result {
  fileprivate mutating func take(_ response: ClientResponse<Text>) {
    responses = [response.message.value]
    initial = Self.lines(response.initialMetadata)
    trailing = Self.lines(response.trailingMetadata)
  }

  fileprivate mutating func take(_ responses: Responses) async {
    self.responses = await responses.messages
    initial = Self.lines(await responses.initial)
    let end = Self.lines(await responses.trailing)
    if !end.isEmpty { trailing = end }
  }

  fileprivate mutating func fail(_ error: any Error) {
    guard let error = error as? RPCError else {
      (code, message) = ("UNEXPECTED", "\(error)")
      return
    }
    (code, message) = ("\(error.code)", error.message)
    trailing = Self.lines(error.metadata)
  }

  private static func lines(_ metadata: Metadata) -> [[String]] {
    metadata.entries.map { entry in
      switch entry.value {
      case .ascii(let text): [entry.name, text]
      case .binary(let bytes): [entry.name, Hex.text(bytes)]
      }
    }
  }
}

private enum Hex {
  static func text(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  static func bytes(_ text: String) -> [UInt8] {
    let digits = Array(text)
    return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
  }
}

extension MessageEncoding: ExpressibleByArgument {
  public init?(argument: String) {
    guard let encoding = Self.allCases.first(where: { "\($0)" == argument }) else { return nil }
    self = encoding
  }
}

func clientTLS(authorities: String) throws -> ClientTLS {
  try ClientTLS(ClientTLSFiles(serverAuthorities: authorities))
}
