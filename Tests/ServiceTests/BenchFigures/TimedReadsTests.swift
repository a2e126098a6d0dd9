internal import BenchFigures
internal import Testing

@Suite("Reads at fixed times")
struct TimedReadsTests {
  /// One read each 500 µs, so 500 in a window. Those of a window are as given, then usual.
  private func reads(_ windows: [[(latency: Int64, fixedWork: Int64)]]) -> TimedReads {
    let reads = windows.flatMap { odd in
      odd + (odd.count..<500).map { _ in (latency: Int64(40_000), fixedWork: Int64(1500)) }
    }
    return TimedReads(
      reads.map { .init(lateness: 0, latency: $0.latency, fixedWork: $0.fixedWork) }, interval: 500_000)
  }

  @Test("on a machine that keeps its speed every read after the first window counts, however long the store held it up")
  func stallOfTheStore() {
    let reads = reads([[(99_000_000, 1500)], [(9_000_000, 1500), (8_500_000, 1600), (41_000, 1400)], []])
    #expect(reads.steady.count == 1000)
    #expect(reads.steady.micros(1) == 9000)
    #expect(reads.latencies.micros(1) == 99_000)
    #expect(reads.steadyPart == 1)
  }

  @Test("the machine is slow when fixed work takes more than three times as long as usual", arguments: [4500, 4501])
  func slow(fixedWork: Int64) {
    let reads = reads([[], Array(repeating: (300_000, fixedWork), count: 100)])
    #expect(reads.steadyPart == (fixedWork > 4500 ? 0 : 1))
  }

  @Test("eight reads in a row that meet a slow machine are a slow moment, interrupts are none", arguments: [7, 8])
  func slowMoment(length: Int) {
    let row = Array(repeating: (latency: Int64(300_000), fixedWork: Int64(15_000)), count: length)
    let usual = (latency: Int64(40_000), fixedWork: Int64(1500))
    #expect(reads([[], row + [usual] + row.dropLast()]).steadyPart == (length > 7 ? 0 : 1))
  }

  @Test("a slow moment takes out all of its window and of the one after it, and no more")
  func windows() {
    let slow = Array(repeating: (latency: Int64(900_000), fixedWork: Int64(15_000)), count: 20)
    let reads = reads([[], [(410_000, 1500)], slow, [(800_000, 1500)], [(420_000, 1500)]])
    #expect(reads.steadyPart == 0.5)
    #expect(reads.steady.count == 1000)
    #expect(reads.steady.micros(1) == 420)
  }

  @Test("of a machine that was never steady no latency is known", arguments: [0, 1, 2])
  func neverSteady(windows: Int) {
    let slow = Array(repeating: (latency: Int64(600_000), fixedWork: Int64(15_000)), count: 20)
    let reads = reads([slow] + Array(repeating: slow, count: windows))
    #expect(reads.steadyPart == 0)
    #expect(reads.steady.micros(0.99).isNaN)
  }

  @Test("what is left after the last whole window is in none", arguments: [999, 1000])
  func rest(count: Int) {
    let reads = TimedReads(
      (0..<count).map { _ in .init(lateness: 0, latency: 40_000, fixedWork: 1500) }, interval: 500_000)
    #expect(reads.steady.count == (count < 1000 ? 0 : 500))
  }

  @Test(
    "a quantile is the time that so many stay below",
    arguments: [(0.0, 1.0), (0.5, 51), (0.99, 100), (1, 100)])
  func quantiles(quantile: Double, micros: Double) {
    #expect(Latencies((1...100).shuffled().map { Int64($0) * 1000 }).micros(quantile) == micros)
  }
}
