internal import FoundationEssentials
internal import Identity

/// The claims that we read, of a token whose signature is good. Source: DESIGN 7, DOMAIN 1.
struct TokenClaims: Decodable {
  let issuer: String?
  let subject: String?
  let audience: OneOrMany?
  let clientID: String?
  let use: String?
  let expires: Double?
  let notBefore: Double?
  let userType: String?
  let actsFor: OneOrMany?
  let zone: String?

  private enum CodingKeys: String, CodingKey {
    case issuer = "iss"
    case subject = "sub"
    case audience = "aud"
    case clientID = "client_id"
    case use = "token_use"
    case expires = "exp"
    case notBefore = "nbf"
    case userType = "custom:user_type"
    case actsFor = "custom:acts_for"
    case zone = "zoneinfo"
  }

  /// A claim that may be one string or a list of them.
  struct OneOrMany: Decodable {
    let values: [String]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let one = try? container.decode(String.self) {
        values = [one]
      } else {
        values = try container.decode([String].self)
      }
    }
  }

  init(json: [UInt8]) throws(CredentialFault) {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(json))
    } catch {
      throw .claimsMalformed
    }
  }

  /// The principal they stand for, and the epoch second from which they no longer do.
  ///
  /// - Parameter now: epoch seconds.
  func principal(rules: TokenRules, now: Int64, token: String) throws(CredentialFault) -> VerifiedToken {
    guard issuer == rules.issuer else { throw .wrongIssuer }
    try checkAudience(rules)
    let expiry = try validity(rules, now: now)
    guard let subject, Self.isIdentifier(subject) else { throw .subjectMissing }
    guard let role = userType.flatMap(Principal.Role.init(rawValue:)) else { throw .roleUnknown }
    if role == .service, !rules.acceptsServiceTokens { throw .serviceTokenRefused }
    let principal = Principal(
      id: subject, role: role, actsFor: role == .delegate ? try clinicians() : [], timeZone: zoneName,
      // A service's own token is not for others: it passes on people's tokens only.
      forwardableToken: role == .service ? nil : token)
    return VerifiedToken(principal: principal, expiry: expiry)
  }

  private func checkAudience(_ rules: TokenRules) throws(CredentialFault) {
    let audiences = audience?.values ?? []
    let named: [String]
    switch use {
    case "id": named = audiences
    case "access": named = clientID.map { [$0] } ?? audiences
    default: throw .wrongUse
    }
    guard named.contains(where: rules.audiences.contains) else { throw .wrongAudience }
  }

  private func validity(_ rules: TokenRules, now: Int64) throws(CredentialFault) -> Int64 {
    // Larger numbers than these are no instants, and would not fit.
    guard let expires, expires.magnitude < 1e15, (notBefore ?? 0).magnitude < 1e15 else { throw .claimsMalformed }
    let expiry = Int64(expires) + rules.leewaySeconds
    guard now < expiry else { throw .expired }
    if let notBefore, now < Int64(notBefore) - rules.leewaySeconds { throw .notYetValid }
    return expiry
  }

  /// A list, or, as Cognito's attributes are strings, one string with commas or blanks between the ids.
  private func clinicians() throws(CredentialFault) -> Set<String> {
    let ids = (actsFor?.values ?? []).flatMap { $0.split { $0 == "," || $0 == " " }.map(String.init) }
    guard ids.count <= TokenLimits.actsFor, ids.allSatisfy(Self.isIdentifier) else { throw .claimsMalformed }
    return Set(ids)
  }

  /// Whether the zone exists is for the rules of time to say; here it only has to look like one.
  private var zoneName: String? {
    guard let zone, (1...64).contains(zone.utf8.count) else { return nil }
    let isName = zone.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "+"),
        UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return isName ? zone : nil
  }

  private static func isIdentifier(_ text: String) -> Bool {
    (1...TokenLimits.identifierBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ",") }
  }
}
