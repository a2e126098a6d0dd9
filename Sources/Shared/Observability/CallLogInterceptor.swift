internal import Identity
package import Logging
package import NIOCore
package import RPC

/// Writes one structured line for each call, and counts and times it.
///
/// The line holds the method, code, duration, peer, role, correlation id and the reason of a failure; never a request's
/// or response's content, a token, or a caller's name. Source: DESIGN 7, 8.
package struct CallLogInterceptor: ServerInterceptor {
  private let logger: Logger
  private let metrics: CallMetrics
  private let now: @Sendable () -> NIODeadline

  package init(
    logger: Logger, metrics: CallMetrics, now: @escaping @Sendable () -> NIODeadline = NIODeadline.now
  ) {
    self.logger = logger
    self.metrics = metrics
    self.now = now
  }

  package var seesRefusedCalls: Bool { true }

  package func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
    let start = now()
    let method = metrics.started(path: context.path)
    do {
      try await next()
    } catch {
      finish(context, method, since: start, failure: RPCError(wrapping: error))
      throw error
    }
    finish(context, method, since: start, failure: nil)
  }

  private func finish(
    _ context: ServerContext, _ method: CallMetrics.Method, since start: NIODeadline, failure: RPCError?
  ) {
    let nanoseconds = (now() - start).nanoseconds
    let code = failure?.code ?? .ok
    method.ended(
      code, nanoseconds: nanoseconds, sent: context.sentMessageBytes, received: context.receivedMessageBytes)
    let level = Self.level(of: code)
    guard logger.logLevel <= level else { return }
    var fields: Logger.Metadata = [
      "method": "\(context.path)", "code": "\(code)", "duration_us": "\(nanoseconds / 1000)",
      "peer": "\(context.peer.address)",
    ]
    if let id = context.correlationID { fields["correlation_id"] = "\(id)" }
    if let principal = context[PrincipalKey.self] {
      fields["role"] = "\(principal.role.rawValue)"
      if principal.role == .service { fields["service"] = "\(principal.id)" }
      if let caller = principal.onBehalfOf { fields["on_behalf_of_role"] = "\(caller.role.rawValue)" }
    }
    if let reason = failure?.errorReason { fields["reason"] = "\(reason)" }
    if let cause = failure?.cause { fields["cause"] = "\(LoggedCause.describe(cause))" }
    logger.log(level: level, "call", metadata: fields)
  }

  /// What the caller did is of interest, what we failed at is a matter for the operator.
  private static func level(of code: StatusCode) -> Logger.Level {
    switch code {
    case .internal, .unknown, .dataLoss: .error
    case .unavailable, .resourceExhausted: .warning
    default: .info
    }
  }
}
