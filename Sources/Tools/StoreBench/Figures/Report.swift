internal import Foundation

/// Medians with their spread, goals, and whether one was missed.
package struct Report {
  package private(set) var missed: [String] = []

  package init() {}

  package func line(_ text: String = "") {
    print(text)
    fflush(nil)
  }

  /// Says a figure and its goal.
  package mutating func goal(
    _ name: String, _ values: [Double], atMost: Double? = nil, atLeast: Double? = nil
  ) {
    let value = values.median
    let isMet = (atMost.map { value <= $0 } ?? true) && (atLeast.map { value >= $0 } ?? true)
    let bound = atMost.map { "at most \($0.short)" } ?? atLeast.map { "at least \($0.short)" }
    line("  \(name): \(values.summary)\(bound.map { "; goal \($0): \(isMet ? "met" : "MISSED")" } ?? "")")
    if !isMet { missed.append(name) }
  }
}

extension [Double] {
  /// Not a number, which meets no goal, if there is none or one could not be measured.
  package var median: Double {
    guard !isEmpty, !contains(where: \.isNaN) else { return .nan }
    let sorted = sorted()
    return sorted.count % 2 == 1
      ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
  }

  /// The median, and the least and the greatest.
  package var summary: String {
    count == 1 ? median.short : "\(median.short) (\((self.min() ?? .nan).short)–\((self.max() ?? .nan).short))"
  }
}

extension Double {
  /// Three digits, or a whole number.
  package var short: String {
    switch abs(self) {
    case 100...: String(format: "%.0f", self)
    case 10...: String(format: "%.1f", self)
    default: String(format: "%.3g", self)
    }
  }
}
