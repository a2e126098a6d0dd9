internal import Auth
internal import CScheduling
internal import CivilTime
internal import EmbeddedEngine
internal import EncryptedStorage
internal import FoundationEssentials
internal import Glibc
internal import Identity
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Observability
internal import RPC
internal import RPCServer
internal import ServiceCore
internal import Sockets
internal import StandardServices
internal import StandardProtos
internal import Storage

/// One service process from its configuration to its end.
///
/// Start: keys, store, connection to the peer service, services, listener; only then health says SERVING. End, on
/// SIGTERM or SIGINT: health says NOT_SERVING, calls under way finish within the grace, then the connection to the peer
/// and the store are closed. A second signal ends the process at once, which loses nothing that was acknowledged.
struct ServiceRunner<Definition: ServiceDefinition>: Sendable {
  private let configuration: ServeConfiguration
  private let logger: Logger
  private let health: HealthStatus
  private let drain = DrainSignal()
  private let group: any EventLoopGroup

  /// - Parameter configuration: also decides how everything in the process logs from here on.
  init(_ configuration: ServeConfiguration) {
    self.configuration = configuration
    LineLogHandler.bootstrap(level: configuration.logLevel, format: configuration.logFormat)
    logger = Logger(label: Definition.name)
    health = HealthStatus()
    group = MultiThreadedEventLoopGroup.singleton
    // Calls are answered there, and wait for no slice of the store's threads.
    for loop in group.makeIterator() { loop.execute { cs_request_short_slices() } }
  }

  /// Returns after an orderly end.
  func run() async throws(LaunchFailure) {
    // A reader of our output that goes away must not end the service.
    signal(SIGPIPE, SIG_IGN)
    logStart()
    let verifier = try await tokenVerifier()
    try makeDataDirectory()
    let clock = clock
    let store = try await openStore(clock: clock)
    let failure: LaunchFailure?
    do throws(LaunchFailure) {
      try await serve(store: store, clock: clock, verifier: verifier)
      failure = nil
    } catch {
      failure = error
    }
    do throws(EmbeddedStoreError) {
      try await store.close()
    } catch {
      logger.error("the store did not close cleanly", metadata: ["reason": "\(error.description)"])
    }
    if let failure { throw failure }
    logger.info("stopped")
  }
}

// MARK: - Parts

extension ServiceRunner {
  private func logStart() {
    var fields: Logger.Metadata = [
      "version": "\(ServiceVersion.current)", "tzdata": "\(TimeZoneDatabase.system.version)",
    ]
    for (setting, value) in configuration.settings { fields[setting.rawValue] = "\(value.description)" }
    logger.info("starting", metadata: fields)
  }

  private func tokenVerifier() async throws(LaunchFailure) -> TokenVerifier {
    let keys: KeySetFile
    do throws(KeySetFileError) {
      keys = try await KeySetFile(configuration.keySet, logger: logger)
    } catch {
      throw LaunchFailure(.configuration, error.description)
    }
    // Tokens are judged by the system's time even where a development clock is set: they are no rule of the clinic,
    // and a test that moves the clock by a week wants to go on calling.
    return TokenVerifier(
      rules: TokenRules(
        issuer: configuration.issuer, audiences: Set(configuration.audiences),
        acceptsServiceTokens: configuration.isDevelopment),
      keys: keys)
  }

  private var clock: WallClock {
    configuration.developmentClockFile.map { DevelopmentClock.clock(file: $0, logger: logger) } ?? .system
  }

  /// With all that leads to it; the store wants a directory that only its owner may write.
  private func makeDataDirectory() throws(LaunchFailure) {
    do {
      try FileManager.default.createDirectory(
        atPath: configuration.dataDirectory, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
    } catch {
      throw LaunchFailure(.configuration, "The data directory \(configuration.dataDirectory) cannot be made.")
    }
  }

  private func openStore(clock: WallClock) async throws(LaunchFailure) -> EmbeddedStore {
    var settings = EmbeddedStore.Configuration(
      directory: configuration.dataDirectory, environment: configuration.environment, tables: Definition.tables)
    settings.clock = { clock.now().microseconds }
    if let keys = configuration.storeKeys { settings.keyRing = try keys.loaded() }
    settings.backups = configuration.backupDirectory.map { BackupDirectory($0) }
    let (health, logger) = (health, logger)
    settings.onStatusChange = { status in
      switch status {
      case .serving:
        logger.notice("the store can be written again")
        health.setAll(.serving)
      case .suspended(let reason), .failed(let reason):
        logger.critical("the store cannot be written", metadata: ["reason": "\(reason)"])
        health.setAll(.notServing)
      case .closed: break
      }
    }
    return try await EmbeddedStore.opened(settings)
  }

  private func serve(
    store: EmbeddedStore, clock: WallClock, verifier: TokenVerifier
  ) async throws(LaunchFailure) {
    let tls = try serverTLS()
    let peer = try PeerConnection(configuration, on: group.next(), logger: logger)
    do throws(LaunchFailure) {
      let services = try await makeServices(store: store, clock: clock, peer: peer)
      // Before anybody can write: an archive begins with what there is.
      let archive = try await StoreArchive.opened(
        of: store, clock: clock, configuration: configuration, logger: logger)
      let server = try await startServer(services, tls: tls, verifier: verifier)
      try await RunningService(
        server: server, health: health, drain: drain, peer: peer, archive: archive,
        upkeep: StoreUpkeep(
          store: store, clock: clock, archive: archive, configuration: configuration, logger: logger), logger: logger,
        reload: {
          reloadCertificates(tls, peer)
          await reloadKeys(store)
        }
      ).run()
    } catch {
      await peer?.close()
      throw error
    }
  }

  /// Listens, and says SERVING.
  private func startServer(
    _ services: [any RPCService], tls: ServerTLS?, verifier: TokenVerifier
  ) async throws(LaunchFailure) -> RPCServer {
    let descriptors = services.map { type(of: $0).serviceDescriptor }
    let closed = Definition.policy.missingEntries(for: descriptors)
    guard closed.isEmpty else {
      throw LaunchFailure(.software, "Nobody may call \(closed.joined(separator: ", ")): the access policy lacks them.")
    }
    var settings = RPCServerConfiguration()
    settings.shutdownGrace = TimeAmount(configuration.shutdownGrace)
    settings.errorDomain = Definition.policy.domain
    let budgets = BudgetMetrics(budgets: ServerBudget.allCases.map(\.rawValue))
    let server = RPCServer(
      configuration: settings, listen: [.init(configuration.listen.endpoint, tls: tls)],
      services: services, interceptors: interceptors(verifier: verifier, services: descriptors),
      eventLoopGroup: group, logger: logger, onBudgetTrip: { budgets.exceeded($0.rawValue) })
    do {
      try await server.start()
    } catch {
      throw LaunchFailure(.unavailable, "\(error).")
    }
    for name in descriptors.map(\.name) + [""] { health.set(.serving, for: name) }
    logger.info("serving")
    return server
  }

  /// What the service defines, with health and reflection.
  private func makeServices(
    store: EmbeddedStore, clock: WallClock, peer: PeerConnection?
  ) async throws(LaunchFailure) -> [any RPCService] {
    do {
      let dependencies = ServiceDependencies(
        store: store, clock: clock,
        defaultTimeZone: try TimeZoneDatabase.system.rules(for: configuration.defaultTimeZone),
        patientService: peer?.channel, drain: drain, configuration: configuration, logger: logger)
      let services = try await Definition.makeServices(dependencies) + [HealthService(health)]
      let descriptors = [StandardDescriptors.fileDescriptorSet, Definition.fileDescriptorSet]
      return try services + ReflectionService.both(for: services, fileDescriptorSets: descriptors)
    } catch let failure as LaunchFailure {
      throw failure
    } catch {
      throw LaunchFailure(.software, "The services cannot be made: \(LoggedCause.describe(error)).")
    }
  }

  private func interceptors(verifier: TokenVerifier, services: [ServiceDescriptor]) -> [any ServerInterceptor] {
    let policy = Definition.policy
    return ServerInterceptors.inOrder(
      domain: policy.domain, services: services, logger: logger,
      identity: [
        AuthenticationInterceptor(verifier: verifier, policy: policy, services: services),
        AuthorizationInterceptor(policy: policy),
      ])
  }

  private func serverTLS() throws(LaunchFailure) -> ServerTLS? {
    guard let files = configuration.tls else { return nil }
    do throws(TLSFilesError) {
      return try ServerTLS(
        ServerTLSFiles(
          identity: TLSIdentityFiles(certificateChain: files.certificate, privateKey: files.key),
          clientAuthorities: files.clientCA))
    } catch {
      throw LaunchFailure(.configuration, error.description)
    }
  }

  /// On SIGHUP: new connections use what the files hold now. Files that do not fit together change nothing.
  private func reloadCertificates(_ tls: ServerTLS?, _ peer: PeerConnection?) {
    do {
      try tls?.reload()
      try peer?.reload()
      logger.notice("read the certificates and the service config again")
    } catch {
      logger.error("certificates and service config stay as they were", metadata: ["reason": "\(error)"])
    }
  }

  /// On SIGHUP: the store takes the keys that are new, and writes under the last one. Keys leave only by a restart.
  private func reloadKeys(_ store: EmbeddedStore) async {
    guard let source = configuration.storeKeys else { return }
    do {
      let keys = try await store.addKeys(from: source)
      var fields: Logger.Metadata = ["added": "\(keys.added)"]
      if !keys.absent.isEmpty { fields["kept until a restart, though no longer there"] = "\(keys.absent)" }
      logger.notice("read the store's keys again", metadata: fields)
    } catch {
      logger.error("the store's keys stay as they were", metadata: ["reason": "\(error)"])
    }
  }
}
