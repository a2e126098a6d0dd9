internal import BenchFigures
internal import Testing

@Suite("Goals of a benchmark")
struct ReportTests {
  @Test("a goal holds at its bound, and is missed beyond it", arguments: [(3.0, false), (3.01, true)])
  func bound(value: Double, isMissed: Bool) {
    var report = Report()
    report.goal("ratio", [1, value, 9], atMost: 3)
    #expect(report.missed == (isMissed ? ["ratio"] : []))
  }

  @Test("with one figure that could not be measured a goal is missed", arguments: 0..<5)
  func unmeasured(place: Int) {
    var values = [1.0, 1.1, 1.2, 1.3]
    values.insert(.nan, at: place)
    var report = Report()
    report.goal("ratio", values, atMost: 3)
    #expect(report.missed == ["ratio"])
  }

  @Test("of reads that were all disturbed no latency is known")
  func allDisturbed() {
    let row = [(600_000, 1500), (700_000, 15_000), (600_000, 1500)] as [(Int64, Int64)]
    let reads = TimedReads(
      row.map { .init(lateness: 0, latency: $0.0, fixedWork: $0.1) }, interval: 500_000)
    #expect(reads.disturbedPart == 1)
    #expect(reads.undisturbed.micros(0.99).isNaN)
  }
}
