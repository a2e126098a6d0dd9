package import NIOCore
package import RPC

/// What a connection's `grpc.health.v1.Health/Watch` says. Pure: answers and the time go in.
///
/// Source: gRFC A17; WIRE W59.
package struct HealthWatchState: Sendable {
  package enum Verdict: Sendable, Hashable {
    case serving
    /// With the reason, for the text of UNAVAILABLE.
    case notServing(String)
  }

  package enum End: Sendable, Hashable {
    /// The server has no health service: it counts as healthy, and is not asked again.
    case countsAsHealthy
    /// It counts as unhealthy until a new Watch says otherwise.
    case watchAgain(at: NIODeadline, String)
  }

  private let service: String
  private var backoff: ConnectionBackoff
  private var generator: SeededGenerator
  private var hasAnswered = false

  package init(service: String, backoff: ConnectionBackoff.Policy, seed: UInt64) {
    self.service = service
    self.backoff = ConnectionBackoff(backoff)
    generator = SeededGenerator(seed: seed)
  }

  /// - Parameter status: the number of `HealthCheckResponse.ServingStatus`.
  package mutating func answered(status: Int32) -> Verdict {
    hasAnswered = true
    backoff.reset()
    let serving: Int32 = 1
    guard status != serving else { return .serving }
    let names: [Int32: String] = [0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"]
    return .notServing("health of '\(service)' is \(names[status] ?? "\(status)")")
  }

  /// The Watch is over, whatever its status: it was to go on for ever.
  package mutating func ended(_ code: StatusCode, _ message: String, now: NIODeadline) -> End {
    if code == .unimplemented { return .countsAsHealthy }
    let text = "Watch of the health of '\(service)' ended with \(code)" + (message.isEmpty ? "" : ": \(message)")
    defer { hasAnswered = false }
    return .watchAgain(at: hasAnswered ? now : now + backoff.nextDelay(using: &generator), text)
  }
}
