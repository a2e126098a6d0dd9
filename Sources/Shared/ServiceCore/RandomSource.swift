/// Where identifiers, tokens and jitter take their randomness from: the system, or a seed in a test.
package struct RandomSource: RandomNumberGenerator, Sendable {
  private let nextValue: @Sendable () -> UInt64

  /// - Parameter next: must be safe to call from several tasks at a time.
  package init(next: @escaping @Sendable () -> UInt64) { nextValue = next }

  /// The operating system's cryptographically secure generator.
  package static let system = RandomSource {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }

  package func next() -> UInt64 { nextValue() }

  package func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0.prefix(count - bytes.count)) }
    }
    return bytes
  }
}
