internal import FoundationEssentials
internal import JWTKit

/// The keys that verify tokens, by key id: what a JSON Web Key Set (RFC 7517) says, as far as it serves us.
///
/// Kept are signature keys for RS256 (2048…8192 bits) and ES256; keys of other kinds are passed over, so that a set
/// may hold them.
struct SigningKeySet: Sendable {
  struct Key: Sendable {
    /// `RS256` or `ES256`: the only algorithm that a token of this key may name.
    let name: String
    let algorithm: any JWTAlgorithm
  }

  let keys: [String: Key]

  static let maximumKeys = 64

  /// - Throws: ``SigningKeySetError`` in words for the operator.
  init(json: [UInt8]) async throws(SigningKeySetError) {
    let document: Document
    do {
      document = try JSONDecoder().decode(Document.self, from: Data(json))
    } catch {
      throw SigningKeySetError("is not a JSON Web Key Set")
    }
    guard document.keys.count <= Self.maximumKeys else {
      throw SigningKeySetError("holds more than \(Self.maximumKeys) keys")
    }
    var keys: [String: Key] = [:]
    for entry in document.keys where entry.use == nil || entry.use == "sig" {
      guard let name = entry.supportedAlgorithm else { continue }
      guard let id = entry.kid, !id.isEmpty, id.utf8.count <= 256 else {
        throw SigningKeySetError("holds a key without a usable \"kid\"")
      }
      guard keys[id] == nil else { throw SigningKeySetError("holds two keys with one \"kid\"") }
      guard let algorithm = try? await entry.algorithm(name) else {
        throw SigningKeySetError("holds a malformed \(name) key")
      }
      keys[id] = Key(name: name, algorithm: algorithm)
    }
    guard !keys.isEmpty else { throw SigningKeySetError("holds no RS256 or ES256 signature key") }
    self.keys = keys
  }

  private struct Document: Decodable {
    let keys: [Entry]
  }

  private struct Entry: Decodable {
    let kty: String
    let kid: String?
    let use: String?
    let alg: String?
    let crv: String?
    let n: String?
    let e: String?
    let x: String?
    let y: String?

    var supportedAlgorithm: String? {
      switch (kty, crv, alg) {
      case ("RSA", _, nil), ("RSA", _, "RS256"): "RS256"
      case ("EC", "P-256", nil), ("EC", "P-256", "ES256"): "ES256"
      default: nil
      }
    }

    func algorithm(_ name: String) async throws -> any JWTAlgorithm {
      let collection = JWTKeyCollection()
      if name == "ES256" {
        guard let x, let y else { throw SigningKeySetError("") }
        await collection.add(ecdsa: try ES256PublicKey(parameters: (x, y)))
      } else {
        // 8192 bits are 1366 characters; the library refuses fewer than 2048 bits.
        guard let n, let e, n.utf8.count <= 1366, e.utf8.count <= 8 else { throw SigningKeySetError("") }
        await collection.add(rsa: try Insecure.RSA.PublicKey(modulus: n, exponent: e), digestAlgorithm: .sha256)
      }
      return try await collection.getKey()
    }
  }
}

/// Why a key set cannot be used: the end of a sentence that begins with its file. Holds no key.
struct SigningKeySetError: Error {
  let description: String

  init(_ description: String) { self.description = description }
}
