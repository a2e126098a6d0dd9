internal import Identity
internal import RPC

/// Gives each call our token, where there is no certificate that says who we are: plaintext, in development.
struct BearerInterceptor: ClientInterceptor {
  private let authorization: String

  init(token: String) { authorization = "Bearer \(token)" }

  func intercept(_ context: ClientContext, next: () async throws -> Void) async throws {
    context.options.metadata.set(authorization, for: IdentityMetadata.authorization)
    try await next()
  }
}
