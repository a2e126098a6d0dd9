package import Metrics
package import Logging
package import RPC

/// The interceptors of our servers, in the one order that works.
///
/// ```
/// correlation -> call log -> error shaping -> authentication -> authorization -> handler
/// ```
///
/// - correlation first: every line, record and answer names the call, a refused one too;
/// - the call log outside error shaping: it writes, and counts, what the caller was told;
/// - error shaping outside everything that refuses: no refusal is without its `ErrorInfo`;
/// - authentication before authorization, and both before a request is decoded.
///
/// Audit, quotas and load shedding will stand between authorization and the handler, since they need the principal.
package enum ServerInterceptors {
  /// - Parameter identity: what finds out who calls and whether they may, in that order.
  package static func inOrder(
    domain: String, services: [ServiceDescriptor], logger: Logger, identity: [any ServerInterceptor],
    metrics: any MetricsFactory = MetricsSystem.factory
  ) -> [any ServerInterceptor] {
    [
      CorrelationInterceptor(),
      CallLogInterceptor(logger: logger, metrics: CallMetrics(services: services, factory: metrics)),
      ErrorShapingInterceptor(domain: domain),
    ] + identity
  }
}
