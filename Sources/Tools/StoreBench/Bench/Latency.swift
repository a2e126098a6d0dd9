internal import BenchFigures
internal import CScheduling
internal import CSyncCounter
internal import Dispatch
internal import EmbeddedEngine
internal import Storage

/// A thread that tasks can be bound to, as a call is to its event loop.
final class ThreadExecutor: TaskExecutor {
  private let queue = DispatchQueue(label: "store-bench")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}

extension EmbeddedStore {
  /// Reads single items at fixed times, whether or not the one before has been answered; each latency counts from the
  /// time at which its read was due, so a stall is felt by all that fell into it.
  func reads(of keys: [ItemKey], perSecond: Int, seconds: Double) async throws -> TimedReads {
    let count = Int(Double(perSecond) * seconds)
    let interval = 1_000_000_000 / Int64(perSecond)
    let reads = try await Task(executorPreference: ThreadExecutor()) {
      // As an event loop of the services does.
      cs_request_short_slices()
      var reads: [TimedReads.Read] = []
      reads.reserveCapacity(count)
      let start = monotonic_nanoseconds() + 1_000_000
      for index in 0..<count {
        let due = start + Int64(index) * interval
        if monotonic_nanoseconds() < due { sleep_until(due) }
        let lateness = monotonic_nanoseconds() - due
        let fixedWork = fixed_work_nanoseconds()
        guard try await self.get(keys[(index &* 7919) % keys.count], from: Patients.table) != nil else {
          throw PlainDatabase.Failure(description: "an item that was written is not there")
        }
        reads.append(
          TimedReads.Read(lateness: lateness, latency: monotonic_nanoseconds() - due, fixedWork: fixedWork))
      }
      return reads
    }.value
    return TimedReads(reads, interval: interval)
  }

  /// Begins a transaction at fixed times, and waits until all are answered. Returns how many were, and how many a second.
  func creates(_ transactions: [[Write]], perSecond: Double) async throws -> CreateFigures {
    try await measure(creates: transactions.count) {
      try await Task(executorPreference: ThreadExecutor()) {
        try await withThrowingDiscardingTaskGroup { group in
          let start = monotonic_nanoseconds()
          for (index, writes) in transactions.enumerated() {
            let due = start + Int64(Double(index) * 1e9 / perSecond)
            if monotonic_nanoseconds() < due { sleep_until(due) }
            group.addTask(executorPreference: globalConcurrentExecutor) { try await self.transact(writes) }
          }
        }
      }.value
    }
  }

  /// The processor time of one call of `body` in µs, over many, one after another on a thread of their own.
  func cpuMicros(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws -> Double {
    try await Task(executorPreference: ThreadExecutor()) {
      let start = cpu_nanoseconds()
      for index in 0..<count { try await body(index) }
      return Double(cpu_nanoseconds() - start) / Double(count) / 1000
    }.value
  }
}
