package import RPC
package import StandardProtos

/// `grpc.health.v1.Health` over a ``HealthStatus``. Open to all callers. Source: gRPC "Health Checking Protocol"; W58.
package struct HealthService: GRPCHealthV1.Health {
  private let health: HealthStatus

  /// gRFC A90: a server with more services than this does not list them.
  static let maxListed = 100

  package init(_ health: HealthStatus) { self.health = health }

  package func check(
    _ request: GRPCHealthV1.HealthCheckRequest, context: ServerContext
  ) async throws -> GRPCHealthV1.HealthCheckResponse {
    guard let status = health.status(of: request.service) else {
      throw RPCError(.notFound, "No such service is known here.")
    }
    return GRPCHealthV1.HealthCheckResponse(status)
  }

  package func list(
    _ request: GRPCHealthV1.HealthListRequest, context: ServerContext
  ) async throws -> GRPCHealthV1.HealthListResponse {
    let all = health.all
    guard all.count <= Self.maxListed else {
      throw RPCError(.resourceExhausted, "There are \(all.count) services; at most \(Self.maxListed) are listed.")
    }
    var response = GRPCHealthV1.HealthListResponse()
    response.statuses = all.mapValues { GRPCHealthV1.HealthCheckResponse($0) }
    return response
  }

  package func watch(
    _ request: GRPCHealthV1.HealthCheckRequest, response: ResponseWriter<GRPCHealthV1.HealthCheckResponse>,
    context: ServerContext
  ) async throws {
    var told: HealthStatus.Serving?
    for await status in health.changes(of: request.service) where status != told {
      try await response.write(GRPCHealthV1.HealthCheckResponse(status))
      told = status
    }
    try Task.checkCancellation()
    throw RPCError(.unavailable, "The server is shutting down.")
  }
}

extension GRPCHealthV1.HealthCheckResponse {
  fileprivate init(_ status: HealthStatus.Serving) {
    self.init()
    self.status = ServingStatus(rawValue: status.rawValue)
  }
}
