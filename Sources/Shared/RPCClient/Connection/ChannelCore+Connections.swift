internal import HTTP2
internal import Logging
internal import NIOCore
internal import RPC

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

extension RPCClientConfiguration {
  /// The policy that the service config names, or `pick_first`.
  func makeBalancer(seed: UInt64) -> any LoadBalancer {
    let checksHealth = serviceConfig?.healthCheckService != nil
    let outliers = serviceConfig?.outlierDetection
    switch serviceConfig?.balancing ?? .pickFirst {
    case .pickFirst: return PickFirst(policy: backoff, seed: seed)
    case .roundRobin:
      return SpreadBalancer(.roundRobin, checksHealth: checksHealth, outliers: outliers, policy: backoff, seed: seed)
    case .leastRequest(let count):
      return SpreadBalancer(
        .leastRequest(choiceCount: count), checksHealth: checksHealth, outliers: outliers, policy: backoff,
        seed: seed)
    }
  }
}

// MARK: - What the balancer asks for

extension ChannelCore {
  /// A call wants a connection.
  func wake() {
    if case .endpoints = target.source, balancer.connectivity == .idle {
      perform(balancer.addressesChanged(endpoints, now: loop.now))
    }
    perform(balancer.wake(now: loop.now))
  }

  func perform(_ actions: [BalancerAction]) {
    for action in actions {
      switch action {
      case .resolve: follow(schedule.request(now: loop.now))
      case .connect(let endpoint, let id, let timeout): connect(to: endpoint, id, timeout: timeout)
      case .abandon(let id): abandon(id)
      case .drain(let id): connections[id]?.connection?.drain("its address is not used any more")
      case .setTimer(let at):
        balancerTimer?.cancel()
        balancerTimer = loop.scheduleTask(deadline: at) {
          self.perform(self.balancer.timerFired(now: self.loop.now))
        }
      case .cancelTimer:
        balancerTimer?.cancel()
        balancerTimer = nil
      case .becameReady: serveWaiting()
      case .failWaiting(let failure):
        logger.notice("No connection.", metadata: ["target": "\(target)", "cause": "\(failure)"])
        failWaiting(failure)
      case .ejected(let endpoint, let isEjected):
        logger.notice(
          isEjected ? "A server fails too many calls and gets none for a while." : "A server gets calls again.",
          metadata: ["target": "\(target)", "endpoint": "\(endpoint)"])
      }
    }
  }

  private func connect(to endpoint: Endpoint, _ id: ConnectionID, timeout: TimeAmount) {
    var entry = Connecting(endpoint: endpoint, phase: .connecting)
    entry.timeout = loop.scheduleTask(in: timeout) { self.attemptTimedOut(id, after: timeout) }
    connections[id] = entry
    var settings = configuration
    settings.keepalive = keepalive
    let connection = ClientConnection(
      id: id, endpoint: endpoint, loop: loop, owner: self, configuration: settings, logger: logger)
    let userTimeout = endpoint.isTCP ? keepalive?.timeout : nil
    connector.connect(to: endpoint, on: loop, timeout: timeout) { channel in
      try channel.pipeline.syncOperations.addHandler(connection)
      if let userTimeout { Self.setUserTimeout(userTimeout, on: channel) }
    }.hop(to: loop).whenComplete { result in
      switch result {
      case .success(let channel):
        guard self.connections[id] != nil else { return channel.close(promise: nil) }
        self.connections[id]?.connection = connection
        if self.connections[id]?.phase == .connecting { self.connections[id]?.phase = .settings }
        if connection.isReady { self.connectionIsReady(connection) }
      case .failure(let error):
        let failure =
          error as? ConnectFailure
          ?? ConnectFailure(phase: .connecting, address: "\(endpoint)", cause: "\(error)")
        self.attemptFailed(id, failure)
      }
    }
  }

  /// Bytes that the peer's machine does not acknowledge for as long end the connection: PINGs alone do not notice
  /// while our own bytes are being sent again (W47; gRFC A18).
  private static func setUserTimeout(_ timeout: TimeAmount, on channel: any Channel) {
    #if os(Linux)
      let milliseconds = Int(timeout.nanoseconds / 1_000_000)
      let option = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT))
      // A transport that is no socket has no such option, and needs none.
      _ = channel.setOption(option, value: milliseconds)
    #endif
  }

  private func attemptTimedOut(_ id: ConnectionID, after timeout: TimeAmount) {
    guard let entry = connections[id] else { return }
    attemptFailed(
      id,
      ConnectFailure(
        phase: entry.phase, address: "\(entry.endpoint)",
        cause: "nothing came of it in \(timeout.nanoseconds / 1_000_000) ms"))
  }

  private func attemptFailed(_ id: ConnectionID, _ failure: ConnectFailure) {
    guard let entry = connections.removeValue(forKey: id) else { return }
    entry.timeout?.cancel()
    entry.connection?.close("\(failure)")
    perform(balancer.connectFailed(id, failure, now: loop.now))
  }

  private func abandon(_ id: ConnectionID) {
    guard let entry = connections.removeValue(forKey: id) else { return }
    entry.timeout?.cancel()
    entry.connection?.close("another address was faster")
  }
}

// MARK: - Names

extension ChannelCore {
  private func follow(_ action: ResolutionSchedule.Action?) {
    guard !isShutDown, case .names = target.source else { return }
    switch action {
    case .resolve:
      // Not structured: a resolution that outlives the channel is ignored when it comes back.
      Task { [resolver, target, loop] in
        let result: Result<[Endpoint], any Error>
        do { result = .success(try await resolver.resolve(target)) } catch { result = .failure(error) }
        loop.execute { self.resolved(result) }
      }
    case .setTimer(let at):
      resolutionTimer?.cancel()
      resolutionTimer = loop.scheduleTask(deadline: at) {
        self.follow(self.schedule.timerFired(now: self.loop.now))
      }
    case nil: break
    }
  }

  private func resolved(_ result: Result<[Endpoint], any Error>) {
    guard !isShutDown else { return }
    switch result {
    case .success(let found) where !found.isEmpty:
      follow(schedule.succeeded(now: loop.now))
      endpoints = found
      perform(balancer.addressesChanged(found, now: loop.now))
    case .success:
      resolutionFailed(
        ConnectFailure(phase: .resolving, address: "\(target)", cause: "its names have no addresses"))
    case .failure(let error):
      resolutionFailed(
        error as? ConnectFailure ?? ConnectFailure(phase: .resolving, address: "\(target)", cause: "\(error)"))
    }
  }

  private func resolutionFailed(_ failure: ConnectFailure) {
    follow(schedule.failed(now: loop.now))
    if !endpoints.isEmpty {
      logger.notice("The target's names could not be looked up.", metadata: ["cause": "\(failure)"])
    }
    perform(balancer.resolutionFailed(failure))
  }
}

// MARK: - What connections tell

extension ChannelCore: ClientConnection.Owner {
  func connectionIsReady(_ connection: ClientConnection) {
    // The server's SETTINGS can be read before the connector's future tells that there is a channel.
    guard connections[connection.id]?.connection != nil else { return }
    connections[connection.id]?.timeout?.cancel()
    connections[connection.id]?.timeout = nil
    connections[connection.id]?.phase = .established
    perform(balancer.connected(connection.id, now: loop.now))
    watchHealth(connection)
  }

  private func watchHealth(_ connection: ClientConnection) {
    guard let service = configuration.serviceConfig?.healthCheckService, connections[connection.id] != nil else {
      return
    }
    if case .pickFirst = configuration.serviceConfig?.balancing ?? .pickFirst { return }
    let watch = HealthWatch(
      service, over: connection, settings: settings(for: HealthWatch.path), backoff: configuration.backoff,
      seed: generator.next()
    ) { [weak self] failure in
      guard let self else { return }
      if let failure {
        logger.notice("A server is not healthy.", metadata: ["target": "\(target)", "cause": "\(failure)"])
      }
      perform(balancer.healthChanged(connection.id, failure, now: loop.now))
    }
    connections[connection.id]?.health = watch
    watch.start()
  }

  func connectionHasRoom(_ connection: ClientConnection) { serveWaiting() }

  func connectionDrains(_ connection: ClientConnection, reason: String) {
    leave(connection, reason: reason)
  }

  func connectionWasToldTooManyPings(_ connection: ClientConnection) {
    // Connections of the same interval may all be told; that is one lesson.
    guard let used = connection.keepaliveTime, let keepalive, keepalive.time <= used else { return }
    self.keepalive = keepalive.doubled
    logger.notice(
      "The server finds our PINGs too many; new connections send half as many.",
      metadata: ["target": "\(target)", "keepalive": "\(keepalive.doubled.time.nanoseconds / 1_000_000_000) s"])
  }

  func connectionEnded(_ connection: ClientConnection, reason: String) {
    let isConnecting = connections[connection.id].map { $0.phase != .established } ?? false
    if isConnecting {
      let phase = connections[connection.id]?.phase ?? .connecting
      attemptFailed(
        connection.id, ConnectFailure(phase: phase, address: "\(connection.endpoint)", cause: reason))
    } else {
      leave(connection, reason: reason)
      connections[connection.id] = nil
    }
    if isShutDown { closeIfIdle() }
  }

  /// The connection takes no more calls. Those that wait need another.
  private func leave(_ connection: ClientConnection, reason: String) {
    guard let entry = connections[connection.id] else { return }
    if let health = entry.health {
      connections[connection.id]?.health = nil
      health.stop()
    }
    logger.debug("A connection ends.", metadata: ["endpoint": "\(connection.endpoint)", "cause": "\(reason)"])
    perform(balancer.connectionEnded(connection.id, now: loop.now))
    wakeForWaiting()
  }
}
