import NIOCore
import RPC
import RPCClient
import Testing

@Suite struct ConnectionBackoffTests {
  @Test("delays grow by 1.6 from 1 s to 120 s, each within 20 % (W50)", arguments: [UInt64(1), 2, 3])
  func growth(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var backoff = ConnectionBackoff(.init())
    var expected = 1.0
    for _ in 0..<20 {
      let delay = Double(backoff.nextDelay(using: &generator).nanoseconds) / 1e9
      #expect(delay >= expected * 0.799 && delay <= expected * 1.201)
      expected = min(expected * 1.6, 120)
    }
    backoff.reset()
    #expect(backoff.nextDelay(using: &generator) <= .milliseconds(1200))
  }

  @Test("an attempt has at least 20 s, and longer when the next is further away (W50)")
  func timeout() {
    let backoff = ConnectionBackoff(.init())
    #expect(backoff.connectTimeout(delay: .seconds(1)) == .seconds(20))
    #expect(backoff.connectTimeout(delay: .seconds(90)) == .seconds(90))
  }

  @Test("equal seeds give equal numbers")
  func seeds() {
    var (one, two, three) = (SeededGenerator(seed: 7), SeededGenerator(seed: 7), SeededGenerator(seed: 8))
    let first = one.next()
    #expect(first == two.next())
    #expect(first != three.next())
  }
}

@Suite struct RetryPolicyTests {
  @Test("a policy that breaks one rule is refused as a whole (W55)")
  func validation() {
    #expect(throws: RetryPolicyError.self) { try RetryPolicy(maxAttempts: 1) }
    #expect(throws: RetryPolicyError.self) { try RetryPolicy(maxAttempts: 2, initialBackoff: .zero) }
    #expect(throws: RetryPolicyError.self) { try RetryPolicy(maxAttempts: 2, maxBackoff: .nanoseconds(-1)) }
    #expect(throws: RetryPolicyError.self) { try RetryPolicy(maxAttempts: 2, backoffMultiplier: 0) }
    #expect(throws: RetryPolicyError.self) { try RetryPolicy(maxAttempts: 2, retryableCodes: []) }
    #expect(throws: RetryPolicyError.self) { try RetryPolicy(maxAttempts: 2, retryableCodes: [.ok]) }
  }

  @Test("maxAttempts above five counts as five (W54)")
  func cap() throws {
    #expect(try RetryPolicy(maxAttempts: 9).maxAttempts == 5)
  }
}

@Suite struct RetryStateTests {
  private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  private func policy(attempts: Int = 3) throws -> RetryPolicy {
    try RetryPolicy(
      maxAttempts: attempts, initialBackoff: .milliseconds(100), maxBackoff: .milliseconds(150), backoffMultiplier: 2)
  }

  /// One attempt's end, with everything that a test does not care about left out.
  private func end(
    _ state: inout RetryState, _ code: StatusCode = .unavailable, progress: RetryState.Progress = .processed,
    committed: Bool = false, pushback: RetryState.Pushback = .none, deadline: NIODeadline? = nil, seed: UInt64 = 1
  ) -> RetryState.Decision {
    var throttle: RetryThrottle?
    var generator = SeededGenerator(seed: seed)
    return state.attemptFailed(
      code, progress: progress, committed: committed, pushback: pushback, now: start, deadline: deadline,
      throttle: &throttle, using: &generator)
  }

  private func delay(_ decision: RetryState.Decision) -> TimeAmount? {
    if case .retry(let at) = decision { at - start } else { nil }
  }

  @Test("delays grow to their maximum, each within 20 %, until the attempts are used up (W54)")
  func delays() throws {
    var state = RetryState(policy: try policy(attempts: 4))
    let first = try #require(delay(end(&state)))
    #expect(first >= .milliseconds(80) && first <= .milliseconds(120))
    let second = try #require(delay(end(&state)))
    #expect(second >= .milliseconds(120) && second <= .milliseconds(180))
    let third = try #require(delay(end(&state)))
    #expect(third >= .milliseconds(120) && third <= .milliseconds(180))
    #expect(end(&state) == .fail)
    #expect(state.previousAttempts == 4)
  }

  @Test("without a policy, with another code, or once committed, there is no retry (W54)")
  func refused() throws {
    var none = RetryState(policy: nil)
    #expect(end(&none) == .fail)
    var other = RetryState(policy: try policy())
    #expect(end(&other, .internal) == .fail)
    var committed = RetryState(policy: try policy())
    #expect(end(&committed, committed: true) == .fail)
  }

  @Test("a call that never left is repeated without bound and counts for nothing (W54)")
  func neverSent() {
    var state = RetryState(policy: nil)
    for _ in 0..<100 { #expect(end(&state, progress: .neverSent) == .retry(at: start)) }
    #expect(state.previousAttempts == 0)
    #expect(end(&state, progress: .neverSent, deadline: start) == .fail)
  }

  @Test("a call that the server refused is repeated once, then by policy (W54)")
  func refusedByServer() throws {
    var bare = RetryState(policy: nil)
    #expect(end(&bare, progress: .refused) == .retry(at: start))
    #expect(end(&bare, progress: .refused) == .fail)
    var withPolicy = RetryState(policy: try policy())
    #expect(end(&withPolicy, progress: .refused) == .retry(at: start))
    #expect(withPolicy.previousAttempts == 0)
    #expect(try #require(delay(end(&withPolicy, progress: .refused))) > .zero)
    #expect(withPolicy.previousAttempts == 1)
  }

  @Test("pushback is obeyed exactly, and begins the delays anew (W54)")
  func pushback() throws {
    var state = RetryState(policy: try policy(attempts: 5))
    _ = end(&state)
    #expect(delay(end(&state, pushback: .after(.milliseconds(7)))) == .milliseconds(7))
    #expect(try #require(delay(end(&state))) <= .milliseconds(120))
    #expect(end(&state, pushback: .stop) == .fail)
  }

  @Test(
    "pushback that is negative or no number stops retries (W54)",
    arguments: [
      ("0", RetryState.Pushback.after(.zero)), ("25", .after(.milliseconds(25))), ("-1", .stop), ("x", .stop),
      ("", .stop), ("99999999999", .stop), (nil, .none),
    ] as [(String?, RetryState.Pushback)])
  func pushbackHeader(value: String?, expected: RetryState.Pushback) {
    #expect(RetryState.Pushback(headerValue: value) == expected)
  }

  @Test("a retry that could not begin before the deadline is not made")
  func deadline() throws {
    var state = RetryState(policy: try policy())
    #expect(end(&state, deadline: start + .milliseconds(79)) == .fail)
    var later = RetryState(policy: try policy())
    #expect(try #require(delay(end(&later, deadline: start + .milliseconds(121)))) > .zero)
  }

  @Test("a throttle stops retries at half of its tokens and below (W54)")
  func throttle() throws {
    var throttle: RetryThrottle? = RetryThrottle(maxTokens: 4, tokenRatio: 500)
    var generator = SeededGenerator(seed: 1)
    var decisions: [Bool] = []
    for _ in 0..<3 {
      var state = RetryState(policy: try policy())
      let decision = state.attemptFailed(
        .unavailable, progress: .processed, committed: false, now: start, deadline: nil, throttle: &throttle,
        using: &generator)
      decisions.append(decision != .fail)
    }
    #expect(decisions == [true, false, false])  // 3 tokens left, then 2 = half, then 1
    throttle?.recordSuccess()
    throttle?.recordSuccess()
    #expect(throttle?.allowsRetries == false)
    throttle?.recordSuccess()
    #expect(throttle?.allowsRetries == true)
  }
}
