package import RPC

/// Who makes a call: the result of verified credentials, never of a request body.
///
/// Source: DOMAIN 1.
package struct Principal: Sendable, Hashable {
  package enum Role: String, Sendable, Hashable, CaseIterable {
    case clinician, delegate, patient, service
  }

  /// The token's subject, or the name of the service in the peer's certificate.
  package var id: String
  package var role: Role
  /// The clinicians a delegate acts for.
  package var actsFor: Set<String>
  /// The caller that a service passes on, from its own verified token.
  package var onBehalfOf: Caller?
  /// The IANA zone of the token's `zoneinfo` claim.
  package var timeZone: String?
  /// The verified token of the person behind the call, to be forwarded to the peer service: the bearer token, or what
  /// a service passed on; `nil` for a service that acts for itself. Never logged.
  package var forwardableToken: String?

  package init(
    id: String, role: Role, actsFor: Set<String> = [], onBehalfOf: Caller? = nil, timeZone: String? = nil,
    forwardableToken: String? = nil
  ) {
    self.id = id
    self.role = role
    self.actsFor = actsFor
    self.onBehalfOf = onBehalfOf
    self.timeZone = timeZone
    self.forwardableToken = forwardableToken
  }

  /// A person on whose behalf a service calls.
  package struct Caller: Sendable, Hashable {
    package var id: String
    package var role: Role
    package var actsFor: Set<String>

    package init(id: String, role: Role, actsFor: Set<String> = []) {
      self.id = id
      self.role = role
      self.actsFor = actsFor
    }
  }
}

/// Where the authentication interceptor leaves the ``Principal`` of a call.
package enum PrincipalKey: ServerContextKey {
  package typealias Value = Principal
}

extension ServerContext {
  /// - Throws: `INTERNAL` when no authentication ran: a bug of ours, which must not become an open door.
  package var principal: Principal {
    get throws(RPCError) {
      guard let principal = self[PrincipalKey.self] else {
        throw RPCError(.internal, "The call carries no principal.")
      }
      return principal
    }
  }
}
