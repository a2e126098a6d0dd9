package import Metrics
package import NIOCore
package import RPC
internal import Synchronization

/// Times the calls of a client as their callers see them, all attempts in one: `grpc.client.call.duration` with
/// `grpc.method`, `grpc.target` and `grpc.status`. Source: gRFC A66; WIRE 2.14.
///
/// Labels are bounded, since methods and target are this program's own.
package final class ClientCallMetrics: ClientInterceptor {
  private let target: String
  private let factory: any MetricsFactory
  private let now: @Sendable () -> NIODeadline
  private let methods = Mutex<[String: PerStatus<Metrics.Timer>]>([:])

  /// - Parameter target: as the channel was given it.
  package init(
    target: String, factory: any MetricsFactory = MetricsSystem.factory,
    now: @escaping @Sendable () -> NIODeadline = NIODeadline.now
  ) {
    self.target = target
    self.factory = factory
    self.now = now
  }

  package func intercept(_ context: ClientContext, next: () async throws -> Void) async throws {
    let start = now()
    defer { durations(of: context.path)[context.code ?? .unknown].recordNanoseconds((now() - start).nanoseconds) }
    try await next()
  }

  private func durations(of path: String) -> PerStatus<Metrics.Timer> {
    methods.withLock { methods in
      if let known = methods[path] { return known }
      let labels = [("grpc.method", String(path.drop { $0 == "/" })), ("grpc.target", target)]
      let made = PerStatus { [factory] code in
        Metrics.Timer(
          label: "grpc.client.call.duration", dimensions: labels + [("grpc.status", "\(code)")],
          preferredDisplayUnit: .seconds, factory: factory)
      }
      methods[path] = made
      return made
    }
  }
}
