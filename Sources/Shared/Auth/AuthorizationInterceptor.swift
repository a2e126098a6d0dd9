package import Identity
package import RPC

/// Refuses a call whose principal's role may not make it, before anything of the request is read.
///
/// Stands directly inside ``AuthenticationInterceptor``. Source: DOMAIN 1.
package struct AuthorizationInterceptor: ServerInterceptor {
  private let policy: AccessPolicy

  package init(policy: AccessPolicy) { self.policy = policy }

  package func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
    if !policy.isOpen(context.path) {
      do throws(AccessPolicy.Refusal) {
        try policy.authorize(try context.authenticatedPrincipal, path: context.path)
      } catch {
        throw RPCError(
          .permissionDenied, "The caller may not call this method.",
          details: [.errorInfo(reason: "ROLE_NOT_ALLOWED", domain: policy.domain)], cause: error)
      }
    }
    try await next()
  }
}

extension ServerContext {
  /// A call without a principal is nobody's call, and nobody may call.
  fileprivate var authenticatedPrincipal: Principal {
    get throws(AccessPolicy.Refusal) {
      guard let principal = self[PrincipalKey.self] else { throw .noEntry }
      return principal
    }
  }
}
