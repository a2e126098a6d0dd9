/// Reads that were due at fixed times, in their order; each began when it was due, or late, as soon as the one before was
/// answered.
package struct TimedReads: Sendable {
  /// Times in nanoseconds.
  package struct Read: Sendable {
    var lateness: Int64
    var latency: Int64
    var fixedWork: Int64

    /// - Parameters:
    ///   - lateness: from when it was due until it began.
    ///   - latency: from when it was due until it was answered.
    ///   - fixedWork: processor time, just before, of work that is always the same and needs no memory.
    package init(lateness: Int64, latency: Int64, fixedWork: Int64) {
      (self.lateness, self.latency, self.fixedWork) = (lateness, latency, fixedWork)
    }
  }

  /// How much longer than usual fixed work takes while the machine is slow.
  private static let slowdown: Int64 = 3
  /// So many reads in a row that meet a slow machine are a slow moment; fewer are interrupts, as of a disk that has written.
  private static let slowMoment = 8
  /// Nanoseconds of a window: long against what a store holds its reads up, so that a slow moment, which takes its whole
  /// window out, takes out stalls of the store and quiet time alike.
  private static let window: Int64 = 250_000_000

  private let reads: [Read]
  private let windows: [ArraySlice<Read>]
  private let isSteady: [Bool]

  /// - Parameters:
  ///   - reads: at least one.
  ///   - interval: nanoseconds between the times at which two reads are due.
  package init(_ reads: [Read], interval: Int64) {
    self.reads = reads
    let size = max(1, Int(Self.window / interval))
    let usual = reads.map(\.fixedWork).sorted()[reads.count / 2]
    windows = stride(from: 0, through: reads.count - size, by: size).map { reads[$0..<$0 + size] }
    isSteady = windows.map { !$0.hasRun(of: Self.slowMoment) { $0.fixedWork > Self.slowdown * usual } }
  }

  /// From when they were due until they were answered: a stall is felt by all that fell into it.
  package var latencies: Latencies { Latencies(reads.map(\.latency)) }

  /// How late they began: the processor was taken, or the read before took long. Part of the latencies.
  package var lateness: Latencies { Latencies(reads.map(\.lateness)) }

  /// The latencies of all reads in windows in which the machine kept its speed; none if there is no such window.
  ///
  /// A virtual machine can lose most of its processor for up to a tenth of a second, without a word from its host: fixed
  /// work then takes ten times as long, and writers at 70 % of what is possible ask for several times what is possible just
  /// then. Where that is so for more than a hundredth of the time, p99 is about the machine. Processor time shows it, since
  /// it does not grow while other threads run. A window counts if no slow moment was in it nor in the one before, whose
  /// backlog it would inherit; of a window that counts every read does.
  package var steady: Latencies { Latencies(steadyWindows.joined().map(\.latency)) }

  /// The part of the windows that count; the first, which follows none, is not asked.
  package var steadyPart: Double { Double(steadyWindows.count) / Double(max(1, windows.count - 1)) }

  private var steadyWindows: [ArraySlice<Read>] {
    windows.indices.dropFirst().filter { isSteady[$0 - 1] && isSteady[$0] }.map { windows[$0] }
  }
}

extension Sequence {
  /// Whether as many elements in a row as `length` are as `predicate` says.
  fileprivate func hasRun(of length: Int, where predicate: (Element) -> Bool) -> Bool {
    var run = 0
    return contains { element in
      run = predicate(element) ? run + 1 : 0
      return run == length
    }
  }
}
