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
}
