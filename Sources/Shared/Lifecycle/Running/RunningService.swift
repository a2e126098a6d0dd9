internal import EmbeddedEngine
internal import Glibc
internal import Logging
internal import RPCServer
internal import ServiceCore
internal import ServiceLifecycle
internal import StandardServices
internal import UnixSignals

/// A service that serves, until a signal ends it.
struct RunningService: Sendable {
  let server: RPCServer
  let health: HealthStatus
  let drain: DrainSignal
  let peer: PeerConnection?
  let archive: StoreArchive?
  let upkeep: StoreUpkeep
  let logger: Logger
  /// What SIGHUP does.
  let reload: @Sendable () async -> Void

  func run() async throws(LaunchFailure) {
    // Ends in the reverse order: the server first, then what its handlers use.
    var services: [any Service] = [upkeep, ServerService(server: server, health: health, drain: drain)]
    if let peer { services.insert(PeerService(peer: peer), at: 0) }
    if let archive { services.insert(ArchiveService(archive: archive, logger: logger), at: 0) }
    let group = ServiceGroup(services: services, logger: quietLogger)
    do {
      // Leaving the scope cancels the listener.
      async let _ = listenForSignals(group)
      try await group.run()
    } catch {
      throw LaunchFailure(.software, "The service ended by itself: \(type(of: error)).")
    }
  }

  /// The group's own log is about its machinery; ours says what happens.
  private var quietLogger: Logger {
    var logger = logger
    logger.logLevel = max(logger.logLevel, .error)
    return logger
  }

  private func listenForSignals(_ group: ServiceGroup) async {
    var isEnding = false
    // Reading something again may take long (a command that prints keys), and the next signal does not wait for it.
    await withDiscardingTaskGroup { reloads in
      for await signal in await UnixSignalsSequence(trapping: [.sigterm, .sigint, .sighup]) {
        switch signal {
        case .sighup: reloads.addTask { await reload() }
        case _ where isEnding:
          logger.warning("ending at once", metadata: ["signal": "\(signal)"])
          // What was acknowledged is durable; everything else may be lost, as it is when the machine stops.
          _exit(128 + (signal == .sigint ? SIGINT : SIGTERM))
        default:
          isEnding = true
          logger.notice("draining", metadata: ["signal": "\(signal)"])
          await group.triggerGracefulShutdown()
        }
      }
    }
  }
}

private struct ServerService: Service {
  let server: RPCServer
  let health: HealthStatus
  let drain: DrainSignal

  func run() async throws {
    try await withGracefulShutdownHandler {
      try await server.run()
    } onGracefulShutdown: {
      health.beginDrain()
      server.beginGracefulShutdown()
      // Behind the GOAWAY, so that whoever goes on from a token does it on another connection.
      drain.begin()
    }
  }
}

private struct PeerService: Service {
  let peer: PeerConnection

  func run() async throws {
    try? await gracefulShutdown()
    await peer.close()
  }
}
