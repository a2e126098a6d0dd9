internal import ArgumentParser
internal import NIOCore
internal import NIOPosix
internal import RPC
internal import RPCClient
internal import Sockets

/// Runs one case of gRPC's interop tests against a server of any implementation: exits with 0 if it passed, and says what
/// went wrong otherwise.
///
/// Source: gRPC "Interoperability Test Case Descriptions", Client; the flags are spelled as there and in other
/// implementations.
@main
struct InteropClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "interop-client", abstract: "Runs one of gRPC's interoperability tests against a server.")

  @Option(name: .customLong("server_host"), help: "The host to connect to.")
  var serverHost = "localhost"

  @Option(
    name: .customLong("server_host_override"),
    help: "The name to expect in the server's certificate and to send as :authority, instead of the host's.")
  var serverHostOverride: String?

  @Option(name: .customLong("server_port"), help: "The port to connect to.")
  var serverPort: Int?

  @Option(
    name: .customLong("server_uri"), help: "A target such as unix:/run/server.sock, instead of a host and a port.")
  var serverURI: String?

  @Option(name: .customLong("test_case"), help: "The case to run.")
  var testCase: InteropCase

  @Option(name: .customLong("use_tls"), help: "Whether to connect over TLS.")
  var useTLS = false

  @Option(name: .customLong("use_test_ca"), help: "Whether to trust the authority of --ca_file, not the system's.")
  var useTestCA = false

  @Option(name: .customLong("ca_file"), help: "The test authority's certificate, PEM.")
  var authorityFile: String?

  func validate() throws {
    guard (serverPort == nil) != (serverURI == nil) else {
      throw ValidationError("Either --server_port or --server_uri is needed.")
    }
    if let serverPort, !(1...65535).contains(serverPort) {
      throw ValidationError("--server_port must be from 1 to 65535.")
    }
    guard !useTestCA || authorityFile != nil else { throw ValidationError("--use_test_ca needs --ca_file.") }
  }

  func run() async throws {
    var configuration = RPCClientConfiguration()
    configuration.authority = serverHostOverride
    var tls: ClientTLS?
    if useTLS {
      tls = try ClientTLS(
        ClientTLSFiles(serverAuthorities: useTestCA ? authorityFile : nil, serverName: serverHostOverride))
    }
    let host = serverHost.contains(":") ? "[\(serverHost)]" : serverHost
    let channel = try RPCClientChannel(
      target: serverURI ?? "dns:\(host):\(serverPort ?? 0)", tls: tls,
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
    do {
      try await InteropCases(channel: channel).run(testCase)
      await channel.close()
    } catch {
      await channel.close()
      throw InteropFailure("\(testCase.rawValue) failed: \(error)")
    }
    print("\(testCase.rawValue) passed")
  }
}

extension InteropCase: ExpressibleByArgument {}
