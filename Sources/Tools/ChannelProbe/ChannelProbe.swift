// Our client and a small server as processes, for tests that need foreign peers, signals or kills. Not installed.

internal import ArgumentParser
internal import Foundation
internal import NIOCore
internal import NIOPosix
internal import RPC
internal import RPCClient

@main
struct ChannelProbe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "channel-probe", abstract: "Our gRPC client and a test server, for tests.",
    subcommands: [Call.self, Load.self, Serve.self])
}

/// What every client command is told.
struct TargetOptions: ParsableArguments {
  @Option(help: "Whom to call, in the grammar of gRPC's targets.") var target: String
  @Option(help: "A service config in JSON.") var config: String?
  @Option(help: "The delay after a connection attempt that failed, in milliseconds.") var backoffMillis: Int64 = 1000
  @Option(help: "The longest of these delays.") var maxBackoffMillis: Int64 = 120_000
  @Option(help: "PEM certificates to trust; without it the connection is in plaintext.") var ca: String?
  @Option(help: "Comes before the runtime's own user-agent.") var userAgent: String?
  @Option(help: "Limit on a response message.") var maxReceive: Int?

  func channel() throws -> RPCClientChannel {
    var configuration = RPCClientConfiguration()
    configuration.backoff.initial = .milliseconds(backoffMillis)
    configuration.backoff.maximum = .milliseconds(maxBackoffMillis)
    configuration.userAgentPrefix = userAgent
    configuration.serviceConfig = try config.map { try ServiceConfig(json: $0.utf8) }
    if let maxReceive { configuration.maxReceiveMessageLength = maxReceive }
    return try RPCClientChannel(
      target: target, tls: try ca.map { try clientTLS(authorities: $0) },
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
  }
}

/// One line on standard output, at once.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// One line of JSON on standard output.
func report(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  FileHandle.standardOutput.write(try encoder.encode(value) + Data("\n".utf8))
}
