package import RPC

/// What is wrong with the credentials of a call.
///
/// It holds nothing of the credentials, so it may be logged; the caller is only told its ``reason``.
package enum CredentialFault: String, Error, Sendable, Hashable, CaseIterable {
  case missing
  case severalAuthorizations
  case notBearer
  case tooLong
  case malformed
  case algorithmRefused
  case unknownKey
  case criticalExtension
  case wrongSignature
  case claimsMalformed
  case wrongIssuer
  case wrongUse
  case wrongAudience
  case expired
  case notYetValid
  case subjectMissing
  case roleUnknown
  case serviceTokenRefused
  case onBehalfOfRefused
  case severalIdentities

  /// The `ErrorInfo` reason of DOMAIN 10.
  package var reason: String {
    switch self {
    case .missing: "CREDENTIALS_MISSING"
    case .expired: "CREDENTIALS_EXPIRED"
    default: "CREDENTIALS_INVALID"
    }
  }

  /// The status for the caller: it says no more than the reason does.
  package func status(domain: String) -> RPCError {
    let message =
      switch self {
      case .missing: "The call carries no credentials."
      case .expired: "The credentials have expired."
      default: "The credentials are not valid."
      }
    return RPCError(
      .unauthenticated, message, details: [.errorInfo(reason: reason, domain: domain)], cause: self)
  }
}
