package import Identity
package import RPC

/// Finds out who calls, and leaves the ``Principal`` in the call's context.
///
/// A person presents `authorization: Bearer <JWT>`; a service is whom its verified certificate names in a SAN URI
/// `spiffe://clinicavoice/service/<name>`, and may pass on the token of the caller it acts for in
/// `x-clinicavoice-on-behalf-of`, which is verified here again. What a proxy says about a certificate
/// (`x-forwarded-client-cert`) is never looked at. Source: DESIGN 7, DOMAIN 1.
///
/// Open methods pass without a principal. A path that this server does not have is answered here with UNIMPLEMENTED,
/// so that the router cannot find a method that the table has not seen.
package struct AuthenticationInterceptor: ServerInterceptor {
  private let verifier: TokenVerifier
  private let policy: AccessPolicy
  private let paths: Set<String>

  /// - Parameter services: everything that the server serves, health and reflection included.
  package init(verifier: TokenVerifier, policy: AccessPolicy, services: [ServiceDescriptor]) {
    self.verifier = verifier
    self.policy = policy
    self.paths = Set(services.flatMap(\.paths))
  }

  package func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
    guard paths.contains(context.path) else {
      throw RPCError(
        .unimplemented, "This server has no such method.",
        details: [.errorInfo(reason: "UNIMPLEMENTED", domain: policy.domain)])
    }
    if !policy.isOpen(context.path) {
      do throws(CredentialFault) {
        context[PrincipalKey.self] = try await principal(of: context)
      } catch {
        throw error.status(domain: policy.domain)
      }
    }
    try await next()
  }

  private func principal(of context: ServerContext) async throws(CredentialFault) -> Principal {
    let principal: Principal
    if let token = try Self.bearerToken(in: context.requestMetadata) {
      principal = try await verifier.verify(token)
    } else if let name = try Self.serviceName(of: context.peer.certificate) {
      principal = Principal(id: name, role: .service)
    } else {
      throw .missing
    }
    let forwarded = context.requestMetadata.values(for: IdentityMetadata.onBehalfOf)
    return forwarded.isEmpty ? principal : try await acting(principal, for: forwarded)
  }

  /// `service`, acting for the person whose token it passes on.
  private func acting(
    _ service: Principal, for tokens: [Metadata.Value]
  ) async throws(CredentialFault) -> Principal {
    guard service.role == .service, tokens.count == 1, case .ascii(let token) = tokens[0] else {
      throw .onBehalfOfRefused
    }
    let person = try await verifier.verify(token)
    guard person.role != .service else { throw .onBehalfOfRefused }
    var acting = service
    acting.onBehalfOf = Principal.Caller(id: person.id, role: person.role, actsFor: person.actsFor)
    acting.timeZone = person.timeZone
    acting.forwardableToken = token
    return acting
  }
}

extension AuthenticationInterceptor {
  /// The token of the one `authorization` entry; `nil` without an entry. Source: RFC 6750, 2.1; RFC 9110, 11.1 (the
  /// scheme's case does not matter).
  static func bearerToken(in metadata: Metadata) throws(CredentialFault) -> String? {
    let values = metadata.values(for: IdentityMetadata.authorization)
    guard let value = values.first else { return nil }
    guard values.count == 1, case .ascii(let text) = value else { throw .severalAuthorizations }
    let scheme = text.prefix { $0 != " " }
    guard scheme.lowercased() == "bearer" else { throw .notBearer }
    let token = text.dropFirst(scheme.count).drop { $0 == " " }
    guard !token.isEmpty else { throw .malformed }
    return String(token)
  }

  /// The service that a verified certificate names; `nil` when it names none.
  static func serviceName(of certificate: PeerCertificate?) throws(CredentialFault) -> String? {
    let prefix = "spiffe://clinicavoice/service/"
    let names = (certificate?.uris ?? []).filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
    guard let name = names.first else { return nil }
    guard names.count == 1 else { throw .severalIdentities }
    let isName = name.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
    }
    guard isName, (1...63).contains(name.utf8.count) else { throw .malformed }
    return String(name)
  }
}
