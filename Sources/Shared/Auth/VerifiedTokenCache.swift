internal import Crypto
internal import Synchronization

/// Verified tokens by their SHA-256, so that a caller's second call costs no signature check.
///
/// Bounded: the oldest entry makes room for a new one. Everything is forgotten when the key set changes.
final class VerifiedTokenCache: Sendable {
  private struct State {
    var generation = 0
    var tokens: [SHA256Digest: VerifiedToken] = [:]
    /// A ring of the keys in the order of their insertion; `oldest` is the next to go.
    var order: [SHA256Digest] = []
    var oldest = 0
  }

  private let capacity: Int
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = max(1, capacity) }

  var count: Int { state.withLock { $0.tokens.count } }

  func token(_ digest: SHA256Digest, generation: Int) -> VerifiedToken? {
    state.withLock { $0.generation == generation ? $0.tokens[digest] : nil }
  }

  func insert(_ token: VerifiedToken, for digest: SHA256Digest, generation: Int) {
    state.withLock { state in
      if state.generation < generation {
        state = State()
        state.generation = generation
      }
      // A verification that began before the keys changed proves nothing under the new ones.
      guard state.generation == generation, state.tokens.updateValue(token, forKey: digest) == nil else { return }
      if state.order.count < capacity {
        state.order.append(digest)
      } else {
        state.tokens[state.order[state.oldest]] = nil
        state.order[state.oldest] = digest
        state.oldest = (state.oldest + 1) % capacity
      }
    }
  }
}
