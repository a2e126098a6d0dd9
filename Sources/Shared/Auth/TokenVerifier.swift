internal import Crypto
internal import FoundationEssentials
package import Identity
internal import JWTKit

/// A token that was verified, as what it stands for.
struct VerifiedToken: Sendable, Hashable {
  let principal: Principal
  /// The epoch second from which the token is refused (its `exp` plus the leeway).
  let expiry: Int64
}

/// Verifies JSON Web Tokens (RFC 7519, 7515) against a key set.
///
/// Only RS256 and ES256 are accepted, each only with a key made for it, so neither `none` nor a key used as an HMAC
/// secret can pass (RFC 8725, 3.1). A token that passed is remembered until it expires or the keys change, which makes
/// its later uses cost one hash.
package final class TokenVerifier: Sendable {
  private let rules: TokenRules
  private let keys: KeySetFile
  private let epochSeconds: @Sendable () -> Int64
  private let remembered: VerifiedTokenCache

  /// - Parameter epochSeconds: the time by which `exp` and `nbf` are judged; the system's, unless a test says otherwise.
  package convenience init(
    rules: TokenRules, keys: KeySetFile, epochSeconds: @escaping @Sendable () -> Int64 = TokenVerifier.systemSeconds
  ) {
    self.init(
      rules: rules, keys: keys, capacity: TokenLimits.rememberedTokens, epochSeconds: epochSeconds)
  }

  init(rules: TokenRules, keys: KeySetFile, capacity: Int, epochSeconds: @escaping @Sendable () -> Int64) {
    self.rules = rules
    self.keys = keys
    self.epochSeconds = epochSeconds
    self.remembered = VerifiedTokenCache(capacity: capacity)
  }

  @Sendable package static func systemSeconds() -> Int64 {
    Int64(Date().timeIntervalSince1970.rounded(.down))
  }

  /// The principal that `token` stands for.
  package func verify(_ token: String) async throws(CredentialFault) -> Principal {
    guard token.utf8.count <= TokenLimits.tokenBytes else { throw .tooLong }
    let digest = SHA256.hash(data: Array(token.utf8))
    let snapshot =
      if let current = keys.current { current } else { await keys.refreshed() }
    let now = epochSeconds()
    if let known = remembered.token(digest, generation: snapshot.generation) {
      guard now < known.expiry else { throw .expired }
      return known.principal
    }
    let verified = try Self.verify(token, keys: snapshot.keys, rules: rules, now: now)
    remembered.insert(verified, for: digest, generation: snapshot.generation)
    return verified.principal
  }

  /// How many tokens are remembered.
  var rememberedCount: Int { remembered.count }
}

extension TokenVerifier {
  private struct Header: Decodable {
    let alg: String
    let kid: String?
    let typ: String?
    let crit: [String]?
  }

  /// The order matters: nothing of the payload is looked at before the signature is known to be good.
  private static func verify(
    _ token: String, keys: SigningKeySet, rules: TokenRules, now: Int64
  ) throws(CredentialFault) -> VerifiedToken {
    let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3, let headerBytes = Base64URL.decode(parts[0]),
      let header = try? JSONDecoder().decode(Header.self, from: Data(headerBytes))
    else { throw .malformed }
    guard header.alg == "RS256" || header.alg == "ES256" else { throw .algorithmRefused }
    guard header.crit == nil else { throw .criticalExtension }
    if let type = header.typ?.lowercased(), type != "jwt", type != "at+jwt" { throw .malformed }
    guard let kid = header.kid, let key = keys.keys[kid] else { throw .unknownKey }
    guard key.name == header.alg else { throw .algorithmRefused }
    guard let payload = Base64URL.decode(parts[1]), let signature = Base64URL.decode(parts[2]) else {
      throw .malformed
    }
    let signed = Array(token.utf8.prefix(parts[0].count + 1 + parts[1].count))
    guard (try? key.algorithm.verify(signature, signs: signed)) == true else { throw .wrongSignature }
    return try TokenClaims(json: payload).principal(rules: rules, now: now, token: token)
  }
}
