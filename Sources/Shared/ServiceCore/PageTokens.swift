internal import Crypto
internal import Foundation
package import Identity
internal import NIOCore
package import RPC

/// Makes and reads page tokens: the place in a list, sealed so that only this list and caller can go on from it.
///
/// A token is AES-256-GCM over the place, authenticated together with its binding. It is sealed rather than only signed
/// since places hold names, and tokens end up in logs of callers. Source: DOMAIN 7.
package struct PageTokens: Sendable {
  private let key: SymmetricKey

  /// Longer tokens are none of ours.
  package static let maxTokenBytes = 8192
  package static let keyBytes = 32

  /// - Parameter key: 32 secret bytes, equal in all instances of a service and after a restart.
  package init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

  /// What a token is good for: one RPC with these filters and order, called by this principal.
  package struct Binding: Sendable, Hashable {
    fileprivate let digest: [UInt8]

    /// - Parameters:
    ///   - method: path of the method, as routed.
    ///   - filters: the request with page token and page size cleared.
    package init(method: String, principal: Principal, filters: some WireMessage) throws(RPCError) {
      do {
        var hash = SHA256()
        let caller = principal.effectiveCaller
        for part in [method, principal.role.rawValue, principal.id, caller.role.rawValue, caller.id] {
          withUnsafeBytes(of: UInt64(part.utf8.count).bigEndian) { hash.update(bufferPointer: $0) }
          hash.update(data: Array(part.utf8))
        }
        hash.update(data: Array(try filters.serialized().readableBytesView))
        digest = Array(hash.finalize())
      } catch {
        throw RPCError(.internal, "The request cannot be serialized.", cause: error)
      }
    }
  }

  /// - Parameter position: where the next page begins, in the list's own words.
  /// - Returns: an URL-safe text.
  package func seal(_ position: [String], binding: Binding) throws(RPCError) -> String {
    do {
      let plain = try JSONEncoder().encode(position)
      let box = try AES.GCM.seal(plain, using: key, authenticating: binding.digest)
      return Self.text(of: Data(box.nonce) + box.ciphertext + box.tag)
    } catch {
      throw RPCError(.internal, "The page token cannot be made.", cause: error)
    }
  }

  /// - Returns: `nil` unless the token was made for this very binding.
  package func open(_ token: String, binding: Binding) -> [String]? {
    guard token.utf8.count <= Self.maxTokenBytes else { return nil }
    let padding = String(repeating: "=", count: (4 - token.utf8.count % 4) % 4)
    let standard = token.replacing("-", with: "+").replacing("_", with: "/") + padding
    // Base64 has several texts for some bytes; only the one that we make is a token.
    guard let sealed = Data(base64Encoded: standard), Self.text(of: sealed) == token,
      let box = try? AES.GCM.SealedBox(combined: sealed),
      let plain = try? AES.GCM.open(box, using: key, authenticating: binding.digest)
    else { return nil }
    return try? JSONDecoder().decode([String].self, from: plain)
  }

  /// URL-safe base64 without padding (RFC 4648, section 5).
  private static func text(of bytes: Data) -> String {
    bytes.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }
}
