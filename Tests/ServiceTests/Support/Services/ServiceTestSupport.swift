package import CivilTime
package import Identity
package import NIOCore
package import RPC
package import ServiceCore
internal import Synchronization
internal import TestSupport

extension RandomSource {
  /// The same values in every run.
  package static func seeded(_ seed: UInt64) -> RandomSource {
    let state = SharedState(seed)
    return RandomSource { state.generator.withLock { $0.next() } }
  }

  private final class SharedState: Sendable {
    let generator: Mutex<SeededGenerator>
    init(_ seed: UInt64) { generator = Mutex(SeededGenerator(seed: seed)) }
  }
}

/// A clock that tests set.
package final class ManualClock: Sendable {
  private let instant: Mutex<Instant>

  package init(_ text: String) { instant = Mutex(Instant(text) ?? Instant(microseconds: 0)) }

  package var wall: WallClock { WallClock { self.instant.withLock { $0 } } }
  package func set(_ text: String) { instant.withLock { $0 = Instant(text) ?? $0 } }
  package func advance(seconds: Int64) { instant.withLock { $0 = $0.adding(seconds: seconds) } }
}

extension ServerContext {
  /// A call by `principal`, as it is behind the interceptors.
  package static func forTest(by principal: Principal? = nil, path: String = "/test.Service/Method") -> ServerContext {
    let context = ServerContext(
      path: path, requestMetadata: [:], deadline: nil, peer: Peer(address: "in-process"), authority: "test")
    context[PrincipalKey.self] = principal
    return context
  }
}

extension RetryPolicy {
  /// Does not pause.
  package static func immediate(attempts: Int = 24) -> RetryPolicy {
    RetryPolicy(attempts: attempts, sleep: { _ in await Task.yield() })
  }
}

/// A request that is nothing but its text.
package struct TextMessage: WireMessage, Hashable {
  package var text: String

  package init(_ text: String) { self.text = text }
  package init(serialized bytes: UnsafeRawBufferPointer) throws(WireMessageError) {
    text = String(decoding: bytes, as: UTF8.self)
  }
  package func serialize(into buffer: inout ByteBuffer) throws(WireMessageError) { buffer.writeString(text) }
}

extension RPCError {
  /// `CODE REASON`, as in the tables of DOMAIN 10.
  package var summary: String {
    for case .errorInfo(let reason, _, _) in details { return "\(code) \(reason)" }
    return "\(code)"
  }

  /// `field REASON` of each violation.
  package var violations: [String] {
    for case .badRequest(let violations) in details { return violations.map { "\($0.field) \($0.reason)" } }
    return []
  }

  package var info: [String: String] {
    for case .errorInfo(_, _, let metadata) in details { return metadata }
    return [:]
  }
}
