internal import FoundationEssentials
internal import Identity
package import RPC

/// Gives every call a correlation id and tells it to the caller in the trailer `x-correlation-id`.
///
/// The caller's own id is taken over when it is a plausible one (1…64 letters, digits, `-`, `_`, `.`), since it goes
/// into logs and audit records; otherwise the call gets a new UUID. Outermost, so that every other interceptor may use
/// the id. Source: DOMAIN 10.
package struct CorrelationInterceptor: ServerInterceptor {
  package init() {}

  package var seesRefusedCalls: Bool { true }

  package func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
    let offered = context.requestMetadata[IdentityMetadata.correlationID]
    let id = offered.flatMap { Self.isAcceptable($0) ? $0 : nil } ?? UUID().uuidString.lowercased()
    context[CorrelationIDKey.self] = id
    context.trailingMetadata.set(id, for: IdentityMetadata.correlationID)
    try await next()
  }

  static func isAcceptable(_ id: String) -> Bool {
    (1...64).contains(id.utf8.count)
      && id.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
