internal import HTTP2
internal import Logging
internal import NIOCore
internal import RPC

/// The part of a channel that lives on its event loop: the calls that wait for a connection, and those under way.
///
/// What it does not decide: which addresses to connect to and which connection takes a call (``LoadBalancer``), when to
/// look names up (``ResolutionSchedule``), and whether a call is repeated (``RetryState``). Its other half carries out
/// what those decide: `ChannelCore+Connections.swift`.
// Safe to share: everything mutable in it is touched on `loop` only; each door asserts it.
final class ChannelCore: @unchecked Sendable {
  let loop: any EventLoop
  let target: ChannelTarget
  let connector: any ByteConnector
  let resolver: any NameResolver
  let logger: Logger
  private let userAgent: String

  var configuration: RPCClientConfiguration
  var balancer: any LoadBalancer
  var balancerTimer: Scheduled<Void>?
  var schedule: ResolutionSchedule
  var resolutionTimer: Scheduled<Void>?
  /// What the target's names meant last.
  var endpoints: [Endpoint] = []
  var generator: SeededGenerator
  /// Doubles when a server finds our PINGs too many (W44).
  var keepalive: RPCClientConfiguration.Keepalive?

  /// Attempts under way, and the connections that came of them, until they end.
  var connections: [ConnectionID: Connecting] = [:]
  private var throttle: RetryThrottle?
  private var retryBufferBytes = 0
  private var waiting: [ClientCall] = []
  private var isServing = false
  private var openCalls: [ObjectIdentifier: ClientCall] = [:]
  private var closeWaiters: [CheckedContinuation<Void, Never>] = []
  private var graceTimer: Scheduled<Void>?
  private(set) var isShutDown = false

  struct Connecting {
    let endpoint: Endpoint
    var connection: ClientConnection?
    var timeout: Scheduled<Void>?
    var phase: ConnectFailure.Phase
    var health: HealthWatch?
  }

  init(
    target: ChannelTarget, loop: any EventLoop, configuration: RPCClientConfiguration, connector: any ByteConnector,
    resolver: any NameResolver, userAgent: String, logger: Logger
  ) {
    self.target = target
    self.loop = loop
    self.configuration = configuration
    self.connector = connector
    self.resolver = resolver
    self.userAgent = userAgent
    self.logger = logger
    generator = SeededGenerator(seed: configuration.seed ?? UInt64.random(in: .min ... .max))
    balancer = configuration.makeBalancer(seed: generator.next())
    schedule = ResolutionSchedule(configuration.resolution, seed: generator.next())
    keepalive = configuration.keepalive
    throttle = configuration.serviceConfig?.retryThrottle ?? configuration.retryThrottle
    if case .endpoints(let given) = target.source { endpoints = given }
  }
}

// MARK: - Calls

extension ChannelCore: ClientCall.Router {
  func settings(for path: String) -> ClientCall.Settings {
    let method = configuration.serviceConfig?.method(path: path)
    return ClientCall.Settings(
      scheme: connector.scheme, authority: configuration.authority ?? target.authority, userAgent: userAgent,
      maxReceiveMessageLength: min(
        configuration.maxReceiveMessageLength, method?.maxResponseMessageBytes ?? .max),
      maxSendMessageLength: min(configuration.maxSendMessageLength, method?.maxRequestMessageBytes ?? .max),
      retryBufferLimit: configuration.retryBufferLimit,
      retryPolicy: method?.retryPolicy ?? configuration.retryPolicy,
      timeout: method?.timeout, waitForReady: method?.waitForReady ?? false)
  }

  func enqueue(_ call: ClientCall) {
    loop.assertInEventLoop()
    guard !isShutDown else { return call.abort(.unavailable, "The channel to \(target) was closed.") }
    openCalls[ObjectIdentifier(call)] = call
    if waiting.isEmpty, dispatch(call) { return }
    if case .transientFailure(let failure) = balancer.connectivity, !call.waitsForReady {
      return call.abort(.unavailable, Self.text(failure))
    }
    guard waiting.count < configuration.maxQueuedCalls else {
      return call.abort(
        .resourceExhausted, "\(waiting.count) calls wait for \(target) already (option: maxQueuedCalls).")
    }
    waiting.append(call)
    wake()
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

  func attemptEnded(on connection: ClientConnection, _ code: StatusCode) {
    loop.assertInEventLoop()
    balancer.attemptEnded(connection.id, succeeded: code == .ok)
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

  func reserveRetryBuffer(_ count: Int) -> Bool {
    guard retryBufferBytes + count <= configuration.retryBufferLimitOfChannel else { return false }
    retryBufferBytes += count
    return true
  }

  func releaseRetryBuffer(_ count: Int) { retryBufferBytes -= count }

  var waitingReason: String? {
    if case .transientFailure(let failure) = balancer.connectivity { failure.description } else { nil }
  }

  /// Gives a call to the connection that the policy picks.
  ///
  /// - Returns: false when none is ready and has room; the call was not touched.
  private func dispatch(_ call: ClientCall) -> Bool {
    // A connection that turns out to be used up leaves the ready ones, so that this ends.
    while let id = balancer.pick(load: { connections[$0]?.connection?.load }) {
      guard let connection = connections[id]?.connection else { return false }
      if connection.open(call) { return true }
    }
    return false
  }

  /// Gives the calls that wait to connections, in order, while there is room (W57).
  func serveWaiting() {
    guard !isServing, !waiting.isEmpty else { return }
    isServing = true
    defer { isServing = false }
    var served = 0
    while served < waiting.count {
      let call = waiting[served]
      guard !call.isWaiting || dispatch(call) else { break }
      served += 1
    }
    waiting.removeFirst(served)
  }

  func failWaiting(_ failure: ConnectFailure) {
    let calls = waiting
    waiting = calls.filter { $0.isWaiting && $0.waitsForReady }
    for call in calls where call.isWaiting && !call.waitsForReady {
      call.abort(.unavailable, Self.text(failure))
    }
  }

  /// Calls that wait need a connection, now that one ended.
  func wakeForWaiting() {
    waiting.removeAll { !$0.isWaiting }
    if !waiting.isEmpty { wake() }
  }

  private static func text(_ failure: ConnectFailure) -> String { "No connection to \(failure.description)." }
}

// MARK: - Service config

extension ChannelCore {
  /// Replaces the service config: calls that begin from now on follow it. Another balancing policy takes over the
  /// addresses, and the connections of the one before end with their calls.
  func use(_ config: ServiceConfig) {
    loop.assertInEventLoop()
    guard !isShutDown else { return }
    let old = configuration
    configuration.serviceConfig = config
    if config.retryThrottle != old.serviceConfig?.retryThrottle {
      throttle = config.retryThrottle ?? configuration.retryThrottle
    }
    guard
      config.balancing != old.serviceConfig?.balancing
        || config.outlierDetection != old.serviceConfig?.outlierDetection
        || config.healthCheckService != old.serviceConfig?.healthCheckService
    else { return }
    let wasIdle = balancer.connectivity == .idle
    perform(balancer.shutdown())
    balancer = configuration.makeBalancer(seed: generator.next())
    if !endpoints.isEmpty { perform(balancer.addressesChanged(endpoints, now: loop.now)) }
    if !wasIdle || !waiting.isEmpty { wake() }
  }
}

// MARK: - Closing

extension ChannelCore {
  /// Takes no more calls; those that are under way go on until they are over.
  ///
  /// - Parameter grace: after this long they are cancelled; `nil`: never.
  func beginClose(grace: TimeAmount?, _ continuation: CheckedContinuation<Void, Never>?) {
    loop.assertInEventLoop()
    if let continuation { closeWaiters.append(continuation) }
    if !isShutDown {
      isShutDown = true
      let calls = waiting
      waiting = []
      for call in calls where call.isWaiting { call.abort(.unavailable, "The channel to \(target) was closed.") }
      resolutionTimer?.cancel()
      perform(balancer.shutdown())
    }
    if let grace, !openCalls.isEmpty {
      graceTimer?.cancel()
      graceTimer = loop.scheduleTask(in: grace) { self.cancelAll() }
    }
    closeIfIdle()
  }

  private func cancelAll() {
    for call in Array(openCalls.values) { call.cancel("The channel to \(target) was closed.") }
  }

  func closeIfIdle() {
    guard openCalls.isEmpty else { return }
    graceTimer?.cancel()
    let open = connections.values.compactMap(\.connection)
    for connection in open { connection.drain("the channel was closed") }
    guard connections.values.allSatisfy({ $0.connection == nil }) else { return }
    let waiters = closeWaiters
    closeWaiters = []
    for waiter in waiters { waiter.resume() }
  }
}
