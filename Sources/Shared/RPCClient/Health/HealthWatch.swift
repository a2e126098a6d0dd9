internal import NIOCore
internal import RPC
internal import StandardProtos

/// Watches the health of one connection's server, over that connection.
///
/// Which answer means what is ``HealthWatchState``'s; this makes the calls.
// Safe to share: everything mutable in it is touched on the connection's loop only; each door asserts it.
final class HealthWatch: ClientCall.Router, @unchecked Sendable {
  private let connection: ClientConnection
  private let settings: ClientCall.Settings
  private let report: (ConnectFailure?) -> Void
  private let serviceName: String
  private var state: HealthWatchState
  private var call: ClientCall?
  private var timer: Scheduled<Void>?
  private var isStopped = false

  /// - Parameter report: is told, on the loop, whenever the server's health is known anew; `nil`: it serves.
  init(
    _ serviceName: String, over connection: ClientConnection, settings: ClientCall.Settings,
    backoff: ConnectionBackoff.Policy, seed: UInt64, report: @escaping (ConnectFailure?) -> Void
  ) {
    self.connection = connection
    self.settings = settings
    self.report = report
    self.serviceName = serviceName
    state = HealthWatchState(service: serviceName, backoff: backoff, seed: seed)
  }

  static let path = "/grpc.health.v1.Health/Watch"

  func start() {
    connection.loop.assertInEventLoop()
    guard !isStopped else { return }
    var request = GRPCHealthV1.HealthCheckRequest()
    request.service = serviceName
    guard let message = try? request.serialized() else { return report(nil) }  // Only for a name that is no text.
    let call = ClientCall(
      path: Self.path, kind: .serverStreaming, options: CallOptions(), loop: connection.loop, router: self)
    self.call = call
    call.start(message)
    // Not structured: ends with its call, and the call with the connection.
    Task { [loop = connection.loop] in
      while true {
        let next = await call.nextOnLoop()
        loop.execute { self.received(next, of: call) }
        if case .end = next { return }
      }
    }
  }

  func stop() {
    connection.loop.assertInEventLoop()
    isStopped = true
    timer?.cancel()
    call?.cancel()
    call = nil
  }

  private func received(_ next: ClientCall.Next, of call: ClientCall) {
    guard !isStopped, call === self.call else { return }
    switch next {
    case .message(let bytes, _):
      guard let response = try? GRPCHealthV1.HealthCheckResponse(serialized: bytes) else {
        return report(failure("its health answer cannot be read"))
      }
      switch state.answered(status: response.status.rawValue) {
      case .serving: report(nil)
      case .notServing(let reason): report(failure(reason))
      }
    case .end(let outcome, _):
      self.call = nil
      switch state.ended(outcome.code, outcome.message, now: connection.loop.now) {
      case .countsAsHealthy: report(nil)
      case .watchAgain(let at, let reason):
        report(failure(reason))
        timer = connection.loop.scheduleTask(deadline: at) { self.start() }
      }
    }
  }

  private func failure(_ reason: String) -> ConnectFailure {
    ConnectFailure(phase: .health, address: "\(connection.endpoint)", cause: reason)
  }
}

// MARK: - Where its call goes: this connection or nowhere

extension HealthWatch {
  func settings(for path: String) -> ClientCall.Settings { settings }

  func enqueue(_ call: ClientCall) {
    if !connection.open(call) { call.abort(.unavailable, "The connection has no room for the health check.") }
  }

  func callEnded(_ call: ClientCall, _ code: StatusCode) {}

  func attemptEnded(on connection: ClientConnection, _ code: StatusCode) {}

  func retry(
    _ state: inout RetryState, _ outcome: ClientCall.Outcome, progress: RetryState.Progress, committed: Bool,
    deadline: NIODeadline?
  ) -> RetryState.Decision { .fail }

  func reserveRetryBuffer(_ count: Int) -> Bool { false }

  func releaseRetryBuffer(_ count: Int) {}

  var waitingReason: String? { nil }
}
