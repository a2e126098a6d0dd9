internal import ArgumentParser
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import RPC
internal import RPCServer
internal import Sockets

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Serves gRPC's interop test service to clients of other implementations, until it is stopped by a signal.
///
/// Source: gRPC "Interoperability Test Case Descriptions", Server; the flags are spelled as there and in other
/// implementations.
@main
struct InteropServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "interop-server", abstract: "Serves grpc.testing.TestService for interoperability tests.")

  @Option(help: "The port to listen on; 0: one that the system chooses.")
  var port = 0

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(name: .customLong("unix_socket"), help: "A path to listen at as well, in cleartext.")
  var unixSocket: String?

  @Option(name: .customLong("use_tls"), help: "Whether to serve over TLS.")
  var useTLS = false

  @Option(name: .customLong("tls_cert_file"), help: "The server's certificate and its intermediates, PEM.")
  var certificateFile: String?

  @Option(name: .customLong("tls_key_file"), help: "The certificate's private key, PEM.")
  var keyFile: String?

  func validate() throws {
    guard (0...65535).contains(port) else { throw ValidationError("--port must be from 0 to 65535.") }
    guard !useTLS || (certificateFile != nil && keyFile != nil) else {
      throw ValidationError("--use_tls needs --tls_cert_file and --tls_key_file.")
    }
  }

  func run() async throws {
    var tls: ServerTLS?
    if useTLS, let certificateFile, let keyFile {
      let identity = TLSIdentityFiles(certificateChain: certificateFile, privateKey: keyFile)
      tls = try ServerTLS(ServerTLSFiles(identity: identity))
    }
    var listen = [RPCServer.Listen(.tcp(host: host, port: port), tls: tls)]
    if let unixSocket { listen.append(RPCServer.Listen(.unix(path: unixSocket))) }
    let server = RPCServer(
      listen: listen, services: [TestService()],
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "interop-server"))
    for case .tcp(_, let port) in try await server.start() { print("listening on \(port)") }
    fflush(nil)  // whoever started this may read it through a pipe
    try await server.run()
  }
}
