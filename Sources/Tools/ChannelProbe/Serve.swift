internal import ArgumentParser
internal import EchoTestSupport
internal import Foundation
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import RPC
internal import RPCServer
internal import Sockets
internal import UnixSignals

/// Answers `/test.Echo/Unary` with its own port, after a while. On SIGTERM it drains and ends.
///
/// Prints `listening on PORT` once it serves, and `answering` at its first call.
struct Serve: AsyncParsableCommand {
  @Option(help: "0: the system chooses.") var port = 0
  @Option(help: "How long each call takes.") var delayMillis: Int64 = 0
  @Option(help: "How long calls may take to end after SIGTERM.") var graceMillis: Int64 = 10_000

  func run() async throws {
    let delay = Duration.milliseconds(delayMillis)
    let name = NameTag()
    var service = EchoService()
    service.onUnary = { _, _ in
      if name.isFirstUse { say("answering") }
      if delay > .zero { try await Task.sleep(for: delay) }
      return Text(name.text)
    }
    var configuration = RPCServerConfiguration()
    configuration.shutdownGrace = .milliseconds(graceMillis)
    let server = RPCServer(
      configuration: configuration, listen: [.init(.tcp(host: "127.0.0.1", port: port))], services: [service],
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "channel-probe"))
    let signals = await UnixSignalsSequence(trapping: [.sigterm])
    for case .tcp(_, let port) in try await server.start() {
      name.text = String(port)
      say("listening on \(port)")
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for await _ in signals {
          server.beginGracefulShutdown()
          return
        }
      }
      try await server.run()
      group.cancelAll()
    }
  }
}
