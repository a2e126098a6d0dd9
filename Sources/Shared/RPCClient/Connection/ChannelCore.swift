internal import HTTP2
internal import Logging
internal import NIOCore
internal import RPC

/// The part of a channel that lives on its event loop: connections, and the calls that wait for one.
///
/// Which address to try when is ``PickFirst``'s; this carries it out.
// Safe to share: everything mutable in it is touched on `loop` only; each door asserts it.
final class ChannelCore: @unchecked Sendable {
  let loop: any EventLoop
  let target: ChannelTarget
  private let configuration: RPCClientConfiguration
  private let connector: any ByteConnector
  private let resolver: any NameResolver
  private let logger: Logger

  private var pickFirst: PickFirst
  private var generator: SeededGenerator
  private var throttle: RetryThrottle?
  private var timer: Scheduled<Void>?

  /// Attempts under way, and the connections that came of them, until they end.
  private var connections: [PickFirst.AttemptID: Connecting] = [:]
  private var ready: ClientConnection?
  private var waiting: [ClientCall] = []
  private var isServing = false
  private var openCalls: [ObjectIdentifier: ClientCall] = [:]
  private var closeWaiters: [CheckedContinuation<Void, Never>] = []
  private var isShutDown = false

  private struct Connecting {
    let endpoint: Endpoint
    var connection: ClientConnection?
    var timeout: Scheduled<Void>?
    var phase: ConnectFailure.Phase
  }

  init(
    target: ChannelTarget, loop: any EventLoop, configuration: RPCClientConfiguration, connector: any ByteConnector,
    resolver: any NameResolver, logger: Logger
  ) {
    self.target = target
    self.loop = loop
    self.configuration = configuration
    self.connector = connector
    self.resolver = resolver
    self.logger = logger
    let seed = configuration.seed ?? UInt64.random(in: .min ... .max)
    pickFirst = PickFirst(policy: configuration.backoff, seed: seed)
    generator = SeededGenerator(seed: ~seed)
    throttle = configuration.retryThrottle
  }
}

// MARK: - Calls

extension ChannelCore: ClientCall.Router {
  func enqueue(_ call: ClientCall) {
    loop.assertInEventLoop()
    guard !isShutDown else { return call.abort(.unavailable, "The channel to \(target) was closed.") }
    openCalls[ObjectIdentifier(call)] = call
    if let ready, waiting.isEmpty, ready.open(call) { return }
    if case .transientFailure(let failure) = pickFirst.connectivity, !call.options.waitForReady {
      return call.abort(.unavailable, Self.text(failure))
    }
    guard waiting.count < configuration.maxQueuedCalls else {
      return call.abort(
        .resourceExhausted, "\(waiting.count) calls wait for \(target) already (option: maxQueuedCalls).")
    }
    waiting.append(call)
    perform(pickFirst.wake())
    serveWaiting()
  }

  func callEnded(_ call: ClientCall, _ code: StatusCode) {
    loop.assertInEventLoop()
    openCalls[ObjectIdentifier(call)] = nil
    if code == .ok { throttle?.recordSuccess() }
    // While the queue is being served, the call whose turn it is drops out by itself.
    if !isServing, let index = waiting.firstIndex(where: { $0 === call }) { waiting.remove(at: index) }
    if isShutDown { closeIfIdle() }
  }

  func retry(
    _ state: inout RetryState, _ outcome: ClientCall.Outcome, progress: RetryState.Progress, committed: Bool,
    deadline: NIODeadline?
  ) -> RetryState.Decision {
    state.attemptFailed(
      outcome.code, progress: progress, committed: committed || isShutDown,
      pushback: .init(headerValue: outcome.retryPushback), now: loop.now, deadline: deadline, throttle: &throttle,
      using: &generator)
  }

  var waitingReason: String? {
    if case .transientFailure(let failure) = pickFirst.connectivity { failure.description } else { nil }
  }

  /// Gives the calls that wait to the connection, in order, while it has room (W57).
  private func serveWaiting() {
    guard !isServing, let ready else { return }
    isServing = true
    defer { isServing = false }
    var served = 0
    while served < waiting.count {
      let call = waiting[served]
      if call.isWaiting {
        guard ready.hasRoom, ready.open(call) else { break }
      }
      served += 1
    }
    waiting.removeFirst(served)
  }

  private func failWaiting(_ failure: ConnectFailure) {
    let calls = waiting
    waiting = calls.filter { $0.isWaiting && $0.options.waitForReady }
    for call in calls where call.isWaiting && !call.options.waitForReady {
      call.abort(.unavailable, Self.text(failure))
    }
  }

  private static func text(_ failure: ConnectFailure) -> String { "No connection to \(failure.description)." }
}

// MARK: - What PickFirst asks for

extension ChannelCore {
  private func perform(_ actions: [PickFirst.Action]) {
    for action in actions {
      switch action {
      case .resolve: resolve()
      case .connect(let endpoint, let id, let timeout): connect(to: endpoint, id, timeout: timeout)
      case .abandon(let id): abandon(id)
      case .setTimer(let at):
        timer?.cancel()
        timer = loop.scheduleTask(deadline: at) { self.perform(self.pickFirst.timerFired(now: self.loop.now)) }
      case .cancelTimer:
        timer?.cancel()
        timer = nil
      case .becameReady(let id):
        ready = connections[id]?.connection
        serveWaiting()
      case .failWaiting(let failure):
        logger.notice("No connection.", metadata: ["target": "\(target)", "cause": "\(failure)"])
        failWaiting(failure)
      }
    }
  }

  private func resolve() {
    if case .endpoints(let endpoints) = target.source {
      return perform(pickFirst.resolved(endpoints, now: loop.now))
    }
    // Not structured: a resolution that outlives the channel is ignored when it comes back.
    Task { [resolver, target, loop] in
      let result: Result<[Endpoint], any Error>
      do { result = .success(try await resolver.resolve(target)) } catch { result = .failure(error) }
      loop.execute { self.resolved(result) }
    }
  }

  private func resolved(_ result: Result<[Endpoint], any Error>) {
    switch result {
    case .success(let endpoints): perform(pickFirst.resolved(endpoints, now: loop.now))
    case .failure(let error):
      let failure =
        error as? ConnectFailure ?? ConnectFailure(phase: .resolving, address: "\(target)", cause: "\(error)")
      perform(pickFirst.resolutionFailed(failure, now: loop.now))
    }
  }

  private func connect(to endpoint: Endpoint, _ id: PickFirst.AttemptID, timeout: TimeAmount) {
    var entry = Connecting(endpoint: endpoint, phase: .connecting)
    entry.timeout = loop.scheduleTask(in: timeout) { self.attemptTimedOut(id, after: timeout) }
    connections[id] = entry
    let connection = ClientConnection(
      id: id, endpoint: endpoint, loop: loop, owner: self, configuration: configuration, logger: logger)
    connector.connect(to: endpoint, on: loop, timeout: timeout) { channel in
      try channel.pipeline.syncOperations.addHandler(connection)
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

  private func attemptTimedOut(_ id: PickFirst.AttemptID, after timeout: TimeAmount) {
    guard let entry = connections[id] else { return }
    attemptFailed(
      id,
      ConnectFailure(
        phase: entry.phase, address: "\(entry.endpoint)",
        cause: "nothing came of it in \(timeout.nanoseconds / 1_000_000) ms"))
  }

  private func attemptFailed(_ id: PickFirst.AttemptID, _ failure: ConnectFailure) {
    guard let entry = connections.removeValue(forKey: id) else { return }
    entry.timeout?.cancel()
    entry.connection?.close("\(failure)")
    perform(pickFirst.connectFailed(id, failure, now: loop.now))
  }

  private func abandon(_ id: PickFirst.AttemptID) {
    guard let entry = connections.removeValue(forKey: id) else { return }
    entry.timeout?.cancel()
    entry.connection?.close("another address was faster")
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
    perform(pickFirst.connected(connection.id))
  }

  func connectionHasRoom(_ connection: ClientConnection) {
    if connection === ready { serveWaiting() }
  }

  func connectionDrains(_ connection: ClientConnection, reason: String) {
    leave(connection, reason: reason)
  }

  func connectionEnded(_ connection: ClientConnection, reason: String) {
    let isConnecting = connections[connection.id].map { $0.phase != .established } ?? false
    if isConnecting {
      let phase = connections[connection.id]?.phase ?? .connecting
      attemptFailed(
        connection.id, ConnectFailure(phase: phase, address: "\(connection.endpoint)", cause: reason))
    } else {
      connections[connection.id] = nil
      leave(connection, reason: reason)
    }
    if isShutDown { closeIfIdle() }
  }

  /// The connection takes no more calls. Those that wait need another.
  private func leave(_ connection: ClientConnection, reason: String) {
    guard ready === connection else { return }
    ready = nil
    logger.debug("A connection ended.", metadata: ["endpoint": "\(connection.endpoint)", "cause": "\(reason)"])
    perform(pickFirst.connectionEnded(connection.id))
    waiting.removeAll { !$0.isWaiting }
    if !waiting.isEmpty { perform(pickFirst.wake()) }
  }
}

// MARK: - Closing

extension ChannelCore {
  /// Takes no more calls; those that are under way go on until they are over, or until ``cancelAll()``.
  func beginClose(_ continuation: CheckedContinuation<Void, Never>?) {
    loop.assertInEventLoop()
    if let continuation { closeWaiters.append(continuation) }
    if !isShutDown {
      isShutDown = true
      let calls = waiting
      waiting = []
      for call in calls where call.isWaiting { call.abort(.unavailable, "The channel to \(target) was closed.") }
      perform(pickFirst.shutdown())
    }
    closeIfIdle()
  }

  /// Ends the calls that are still under way.
  func cancelAll() {
    loop.assertInEventLoop()
    for call in Array(openCalls.values) { call.cancel("The channel to \(target) was closed.") }
  }

  private func closeIfIdle() {
    guard openCalls.isEmpty else { return }
    let open = connections.values.compactMap(\.connection)
    for connection in open { connection.drain("the channel was closed") }
    guard connections.values.allSatisfy({ $0.connection == nil }) else { return }
    let waiters = closeWaiters
    closeWaiters = []
    for waiter in waiters { waiter.resume() }
  }
}
