package import Logging
package import NIOCore
package import RPC
package import Sockets
internal import Synchronization

/// A gRPC server: listeners, the services behind them, and an orderly end.
///
/// ``start()``, then ``run()``, which returns when the server has ended: after ``beginGracefulShutdown()`` as soon as the
/// calls in flight are done (or their grace is over), or at once when its task is cancelled.
package final class RPCServer: Sendable {
  /// One place to listen at.
  package struct Listen: Sendable {
    package var address: EndpointAddress
    /// `nil`: plaintext.
    package var tls: ServerTLS?

    package init(_ address: EndpointAddress, tls: ServerTLS? = nil) {
      self.address = address
      self.tls = tls
    }
  }

  private let listen: [Listen]
  private let group: any EventLoopGroup
  private let shared: ServerConnectionContext
  private let state = Mutex(State())

  private struct State {
    var listeners: [ServerListener] = []
    var connections: [ObjectIdentifier: any Channel] = [:]
    var isShuttingDown = false
    var isStarted = false
    /// Resumed when the server has nothing left to do.
    var waiting: [CheckedContinuation<Void, Never>] = []

    var isDone: Bool { isShuttingDown && connections.isEmpty }
  }

  /// - Parameters:
  ///   - interceptors: run around every call, the first outermost.
  ///   - onBudgetTrip: told each time that a peer exceeds a budget, on any thread.
  package init(
    configuration: RPCServerConfiguration = .init(), listen: [Listen], services: [any RPCService],
    interceptors: [any ServerInterceptor] = [], eventLoopGroup: any EventLoopGroup, logger: Logger,
    onBudgetTrip: @escaping @Sendable (ServerBudget) -> Void = { _ in }
  ) {
    self.listen = listen
    self.group = eventLoopGroup
    self.shared = ServerConnectionContext(
      configuration: configuration, router: Router(services), interceptors: interceptors, logger: logger,
      onBudgetTrip: onBudgetTrip)
  }

  /// Starts to listen everywhere, or nowhere.
  ///
  /// - Returns: the addresses, in the order given, with the ports that the system chose.
  /// - Throws: ``ListenError`` naming the address that could not be had.
  @discardableResult
  package func start() async throws -> [EndpointAddress] {
    var listeners: [ServerListener] = []
    do {
      for place in listen {
        listeners.append(
          try await ServerListener.bind(
            place.address, tls: place.tls, group: group, maxConnections: shared.configuration.maxConnections,
            handshakeTimeout: shared.configuration.connection.handshakeTimeout
          ) { [self] channel, peer, accepted in
            try attach(to: channel, peer: peer, accepted: accepted)
          } refused: { [shared] refusal, peer in
            shared.trips.tripped(ServerBudget(refusal), peer: peer, now: .now())
          })
      }
    } catch {
      for listener in listeners { await listener.close() }
      throw error
    }
    let isLate = state.withLock { state in
      state.listeners = listeners
      state.isStarted = true
      return state.isShuttingDown
    }
    if isLate { for listener in listeners { await listener.close() } }
    let addresses = listeners.map(\.address)
    shared.logger.info("listening", metadata: ["addresses": "\(addresses.map(\.description))"])
    return addresses
  }

  /// Serves on a channel that somebody else made: the in-process transport, a test. Call on the channel's loop.
  ///
  /// - Parameter accepted: when the connection was made, if that was not now.
  package func attach(to channel: any Channel, peer: Peer, accepted: NIODeadline? = nil) throws {
    let isAccepted = state.withLock { state in
      guard !state.isShuttingDown else { return false }
      state.connections[ObjectIdentifier(channel)] = channel
      return true
    }
    guard isAccepted else { return channel.close(promise: nil) }
    channel.closeFuture.whenComplete { [self] _ in forget(channel) }
    try channel.pipeline.syncOperations.addHandler(
      ServerConnection(shared, peer: peer, now: accepted ?? channel.eventLoop.now))
  }

  /// Waits for the end of the server; starts it first if that was not done.
  package func run() async throws {
    if !state.withLock({ $0.isStarted }) { try await start() }
    await withTaskCancellationHandler {
      await withCheckedContinuation { done in
        let isDone = state.withLock { state in
          if !state.isDone { state.waiting.append(done) }
          return state.isDone
        }
        if isDone { done.resume() }
      }
    } onCancel: {
      shutDown(grace: .zero)
    }
  }

  /// Stops to accept, drains every connection (W45), and ends what outlasts the configured grace.
  package func beginGracefulShutdown() { shutDown(grace: shared.configuration.shutdownGrace) }

  private func shutDown(grace: TimeAmount) {
    let (listeners, connections, waiting) = state.withLock { state in
      state.isShuttingDown = true
      defer {
        state.listeners = []
        if state.isDone { state.waiting = [] }
      }
      return (state.listeners, Array(state.connections.values), state.isDone ? state.waiting : [])
    }
    for listener in listeners { listener.channel.close(promise: nil) }
    for connection in connections {
      connection.pipeline.fireUserInboundEventTriggered(ServerConnection.BeginDrain(grace: grace))
    }
    for done in waiting { done.resume() }
  }

  private func forget(_ channel: any Channel) {
    let waiting = state.withLock { state in
      state.connections[ObjectIdentifier(channel)] = nil
      guard state.isDone else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiting = [] }
      return state.waiting
    }
    for done in waiting { done.resume() }
  }

  /// The services that are served: for health and reflection.
  package var services: [ServiceDescriptor] { shared.router.services }

  /// How often peers exceeded a budget, by budget.
  package var budgetTrips: [ServerBudget: Int] { shared.trips.counts }

  /// Handlers that run now, those included whose caller is gone.
  package var callsInFlight: Int { shared.inFlight.count }
}

extension ServerBudget {
  init(_ refusal: ConnectionRefusal) {
    switch refusal {
    case .tooManyConnections: self = .connections
    case .noDescriptors: self = .descriptors
    case .handshakeTimeout: self = .handshakeTime
    }
  }
}
