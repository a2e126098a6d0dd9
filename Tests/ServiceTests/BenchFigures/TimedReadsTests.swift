internal import BenchFigures
internal import Testing

@Suite("Reads at fixed times")
struct TimedReadsTests {
  /// One read each 500 µs; nine of ten usual, so that the usual is known.
  private func reads(_ odd: [(latency: Int64, fixedWork: Int64)]) -> TimedReads {
    let usual = (0..<odd.count * 10).map { _ in (latency: Int64(40_000), fixedWork: Int64(1500)) }
    return TimedReads(
      (odd + usual).map { .init(lateness: 0, latency: $0.latency, fixedWork: $0.fixedWork) }, interval: 500_000)
  }

  @Test("on a machine that keeps its speed every read counts, however long the store held it up")
  func stallOfTheStore() {
    let reads = reads([(9_000_000, 1500), (8_500_000, 1600), (40_000, 1400)])
    #expect(reads.undisturbed.micros(1) == 9000)
    #expect(reads.disturbedPart == 0)
  }

  @Test("the machine is slow when fixed work takes more than three times as long as usual", arguments: [4500, 4501])
  func slow(fixedWork: Int64) {
    let reads = reads([(300_000, fixedWork)])
    #expect(reads.undisturbed.micros(1) == (fixedWork > 4500 ? 40 : 300))
    #expect(reads.disturbedPart == (fixedWork > 4500 ? 1.0 / 11 : 0))
  }

  @Test("a slow moment disturbs all that wait in a row before and after it, and no others")
  func rows() {
    let reads = reads([
      (400_000, 1500), (900_000, 1500), (700_000, 15_000), (600_000, 1500), (450_000, 1500), (410_000, 1500),
    ])
    // The second to the fifth: the fifth waited for the fourth, the sixth for nobody.
    #expect(reads.disturbedPart == 4.0 / 66)
    #expect(reads.undisturbed.micros(1) == 410)
    #expect(reads.latencies.micros(1) == 900)
  }

  @Test("a read that was answered just when the next was due held nobody up", arguments: [500_000, 500_001])
  func boundary(latency: Int64) {
    let reads = reads([(latency, 15_000), (450_000, 1500)])
    #expect(reads.undisturbed.micros(1) == (latency > 500_000 ? 40 : 450))
  }

  @Test(
    "a quantile is the time that so many stay below",
    arguments: [(0.0, 1.0), (0.5, 51), (0.99, 100), (1, 100)])
  func quantiles(quantile: Double, micros: Double) {
    #expect(Latencies((1...100).shuffled().map { Int64($0) * 1000 }).micros(quantile) == micros)
  }
}
