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

  /// How much longer than usual fixed work takes while the machine counts as slow.
  private static let slowdown: Int64 = 3

  private let reads: [Read]
  /// Nanoseconds between the times at which two reads are due.
  private let interval: Int64

  /// - Parameter reads: at least one.
  package init(_ reads: [Read], interval: Int64) { (self.reads, self.interval) = (reads, interval) }

  /// From when they were due until they were answered: a stall is felt by all that fell into it.
  package var latencies: Latencies { Latencies(reads.map(\.latency)) }

  /// How late they began: the processor was taken, or the read before took long. Part of the latencies.
  package var lateness: Latencies { Latencies(reads.map(\.lateness)) }

  /// The latencies of the reads that the machine did not disturb; none if it disturbed all.
  ///
  /// A virtual machine can lose most of its processor for milliseconds, without a word from its host: fixed work then takes
  /// ten times as long, and whoever needs more than a tenth of the processors falls behind. Where that is so for more than
  /// a hundredth of the time, p99 is about the machine. Processor time shows it, since it does not grow while other
  /// threads run. A read counts as disturbed if the machine was slow at any time since a read last began with none before
  /// it unanswered; what the store itself holds up stays in.
  package var undisturbed: Latencies { Latencies(undisturbedReads.map(\.latency)) }

  /// The part of the reads that the machine disturbed.
  package var disturbedPart: Double { Double(reads.count - undisturbedReads.count) / Double(reads.count) }

  private var undisturbedReads: [Read] {
    let usual = reads.map(\.fixedWork).sorted()[reads.count / 2]
    return busyPeriods.filter { !$0.contains { $0.fixedWork > Self.slowdown * usual } }.flatMap(\.self)
  }

  /// Each begins with a read before which none was unanswered.
  private var busyPeriods: [ArraySlice<Read>] {
    let starts = reads.indices.filter { $0 == 0 || reads[$0 - 1].latency <= interval }
    return zip(starts, starts.dropFirst() + [reads.count]).map { reads[$0..<$1] }
  }
}
