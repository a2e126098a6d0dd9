/// What a token must say to be accepted, beside a good signature. Source: DESIGN 7.
package struct TokenRules: Sendable, Hashable {
  /// `iss`, compared exactly.
  package var issuer: String
  /// The client applications whose tokens are ours: an ID token names one in `aud`, an access token in `client_id`
  /// (or in `aud`, as RFC 9068 has it).
  package var audiences: Set<String>
  /// How far the issuer's clock may be off, for `exp` and `nbf`.
  package var leewaySeconds: Int64
  /// Accept a token of the role `service` in place of a certificate. For development only: in production a service
  /// is whom its verified certificate names.
  package var acceptsServiceTokens: Bool

  package init(
    issuer: String, audiences: Set<String>, leewaySeconds: Int64 = 30, acceptsServiceTokens: Bool = false
  ) {
    self.issuer = issuer
    self.audiences = audiences
    self.leewaySeconds = leewaySeconds
    self.acceptsServiceTokens = acceptsServiceTokens
  }
}

/// Bounds of what a caller may present.
package enum TokenLimits {
  /// Characters of one token. Ours are about 700, Cognito's about 1 200.
  package static let tokenBytes = 8 * 1024
  /// Clinicians that one delegate may act for.
  package static let actsFor = 100
  /// Bytes of a subject or of a clinician's id.
  package static let identifierBytes = 128
  /// Verified tokens that are remembered.
  package static let rememberedTokens = 4096
}
