/// Times in nanoseconds.
package struct Latencies: Sendable {
  private let sorted: [Int64]

  package init(_ samples: [Int64]) { sorted = samples.sorted() }

  package var count: Int { sorted.count }

  /// The sample in µs that as large a part of the others as `quantile` (from 0 to 1) stays below; the last, for 1.
  package func micros(_ quantile: Double) -> Double {
    guard !sorted.isEmpty else { return .nan }
    return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * quantile))]) / 1000
  }
}
