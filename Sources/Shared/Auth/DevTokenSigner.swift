internal import Crypto
internal import FoundationEssentials
package import Identity
internal import JWTKit

/// Signs tokens for development with a local ES256 key. Its public half is in the key set that the development PKI
/// writes, under the key's RFC 7638 thumbprint as its id.
package struct DevTokenSigner: Sendable {
  /// `iss` of these tokens; a service outside development refuses it as its issuer.
  package static let issuer = "https://tokens.clinicavoice.invalid/development"
  /// `client_id` and `aud` of these tokens.
  package static let audience = "clinicavoice-development"

  private let algorithm: any JWTAlgorithm
  /// The RFC 7638 thumbprint of the public key.
  package let keyID: String

  /// - Parameter pem: a P-256 private key, PKCS #8 or SEC 1.
  /// - Throws: ``DevTokenError`` in words for the operator.
  package init(pem: String) async throws(DevTokenError) {
    guard let key = try? P256.Signing.PrivateKey(pemRepresentation: pem),
      let signingKey = try? ES256PrivateKey(backing: key)
    else { throw DevTokenError("holds no P-256 private key in PEM") }
    let point = key.publicKey.rawRepresentation
    let x = Base64URL.encode(point.prefix(32))
    let y = Base64URL.encode(point.suffix(32))
    let canonical = #"{"crv":"P-256","kty":"EC","x":"\#(x)","y":"\#(y)"}"#
    keyID = Base64URL.encode(Array(SHA256.hash(data: Array(canonical.utf8))))
    let collection = JWTKeyCollection()
    await collection.add(ecdsa: signingKey)
    guard let algorithm = try? await collection.getKey() else { throw DevTokenError("cannot be used to sign") }
    self.algorithm = algorithm
  }

  /// What a development token says.
  package struct Subject: Sendable {
    package var id: String
    package var role: Principal.Role
    package var actsFor: [String]
    package var timeZone: String?

    package init(id: String, role: Principal.Role, actsFor: [String] = [], timeZone: String? = nil) {
      self.id = id
      self.role = role
      self.actsFor = actsFor
      self.timeZone = timeZone
    }
  }

  /// A token for `subject`, good from `now` (epoch seconds) for `seconds`.
  package func sign(
    _ subject: Subject, issuer: String = DevTokenSigner.issuer, audience: String = DevTokenSigner.audience,
    now: Int64, seconds: Int64
  ) throws(DevTokenError) -> String {
    do {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let header = try encoder.encode(Header(alg: "ES256", kid: keyID, typ: "JWT"))
      let claims = try encoder.encode(
        Claims(
          iss: issuer, sub: subject.id, clientID: audience, use: "access", iat: now, exp: now + seconds,
          userType: subject.role.rawValue, actsFor: subject.actsFor.isEmpty ? nil : subject.actsFor,
          zoneinfo: subject.timeZone))
      let signed = "\(Base64URL.encode(header)).\(Base64URL.encode(claims))"
      return "\(signed).\(Base64URL.encode(try algorithm.sign(Array(signed.utf8))))"
    } catch {
      throw DevTokenError("cannot be used to sign")
    }
  }

  private struct Header: Encodable {
    let alg: String
    let kid: String
    let typ: String
  }

  private struct Claims: Encodable {
    let iss: String
    let sub: String
    let clientID: String
    let use: String
    let iat: Int64
    let exp: Int64
    let userType: String
    let actsFor: [String]?
    let zoneinfo: String?

    enum CodingKeys: String, CodingKey {
      case iss, sub, iat, exp, zoneinfo
      case clientID = "client_id"
      case use = "token_use"
      case userType = "custom:user_type"
      case actsFor = "custom:acts_for"
    }
  }
}

/// Why no development token can be made: the end of a sentence that begins with the key's file.
package struct DevTokenError: Error, Sendable {
  package let description: String

  init(_ description: String) { self.description = description }
}
