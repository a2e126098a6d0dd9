internal import ArgumentParser
internal import DequeModule
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Synchronization

/// Measures how far an archive is behind a busy store, and how long a restore takes. See `deploy/bench restore --help`.
struct RestoreBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Measure how far an archive is behind, and a restore.")

  @Option(help: "Where to work; must be empty.") var directory: String
  @Option(help: "Bytes of the store's file before the snapshot.") var bytes = 1 << 30
  @Option(help: "Transactions written while the snapshot is taken and after it.") var transactions = 100_000
  @Option(help: "Goal: seconds that the archive may be behind.") var maxLag = 1.0
  @Option(help: "Goal: seconds that the restore may take.") var maxRestore = 3600.0

  private static let inFlight = 64

  func run() async throws {
    let keyRing = try EmbeddedStore.benchKeys()
    let store = try await EmbeddedStore.open(directory + "/store", encrypted: true)
    let backups = BackupDirectory(directory + "/backups")
    let archive = try await store.archive(
      .init(backups: backups, retention: .seconds(86_400), snapshotInterval: .seconds(86_400)))
    let running = Task { await archive.run() }
    let lag = LagSampler(store: store, archive: archive)
    let sampling = Task { await lag.run() }

    let filling = ContinuousClock.now
    var count = 0
    while Self.size(directory + "/store/store.sqlite") < bytes {
      try await create(20_000, in: store)
      count += 20_000
    }
    report("wrote \(count) patients", since: filling)
    // Beside the writers, as in a service: what the archive lacks is measured while the disk has most to do.
    let writing = ContinuousClock.now
    async let more: Void = create(transactions, in: store)
    let snapshot = try await archive.snapshot(.scheduled)
    report("took a snapshot of \(snapshot.size >> 20) MiB beside the writers", since: writing)
    try await more
    report("wrote \(transactions) patients more", since: writing)
    sampling.cancel()
    await sampling.value
    running.cancel()
    await running.value
    try await archive.close()
    let end = store.commits.end
    try await store.close()
    print(String(format: "the archive was at most %.3f s behind (%d samples)", lag.longest, lag.samples))

    let restoring = ContinuousClock.now
    var stage = restoring
    let result = try StoreRestore(
      backups: backups, instant: end.committedAt, destination: directory + "/restored", environment: "bench",
      tables: [Patients.table], keyRing: keyRing
    ).run(nil) { progress in
      if case .verifying = progress {
        report("  copied the snapshot and replayed", since: restoring)
        stage = .now
      }
      return true
    }
    report("  verified \(result.report.items) items", since: stage)
    let seconds = (ContinuousClock.now - restoring) / .seconds(1)
    print(String(format: "restored in %.1f s, with %d transactions after the snapshot", seconds, result.transactions))
    guard result.report.isClean, result.position == end else { throw Failure("the restored store is not the store") }
    guard lag.longest <= maxLag else { throw Failure("the archive was more than \(maxLag) s behind") }
    guard seconds <= maxRestore else { throw Failure("the restore took more than \(maxRestore) s") }
  }

  private func create(_ count: Int, in store: EmbeddedStore) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in 0..<Self.inFlight {
        group.addTask {
          var patients = Patients(clinicians: 50, seed: .random(in: .min ... .max))
          for _ in 0..<count / Self.inFlight + (lane < count % Self.inFlight ? 1 : 0) {
            try await store.transact(patients.create())
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func report(_ text: String, since start: ContinuousClock.Instant) {
    print(String(format: "%@ in %.1f s", text, (ContinuousClock.now - start) / .seconds(1)))
  }

  private static func size(_ path: String) -> Int {
    ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int) ?? 0
  }
}

/// Looks again and again at how old the oldest transaction is that the archive lacks.
private final class LagSampler: Sendable {
  private let store: EmbeddedStore
  private let archive: StoreArchive
  private let seen = Mutex<(longest: Double, samples: Int)>((0, 0))

  init(store: EmbeddedStore, archive: StoreArchive) {
    self.store = store
    self.archive = archive
  }

  var longest: Double { seen.withLock { $0.longest } }
  var samples: Int { seen.withLock { $0.samples } }

  /// What is missing was committed after the last sample at which there was nothing but what is archived now. This is at
  /// most the time between two samples too much.
  func run() async {
    var ends: Deque<(time: ContinuousClock.Instant, sequence: Int64)> = []
    while !Task.isCancelled {
      // In this order: what is committed meanwhile does not count as missing before the next sample.
      let (now, end) = (ContinuousClock.now, store.commits.end.sequence)
      let archived = archive.position.sequence
      ends.append((now, end))
      while ends.count > 1, ends[1].sequence <= archived { ends.removeFirst() }
      let lag = end > archived ? ends.first.map { ($0.time.duration(to: .now)) / .seconds(1) } ?? 0 : 0
      seen.withLock { $0 = (max($0.longest, lag), $0.samples + 1) }
      try? await Task.sleep(for: .milliseconds(5))
    }
  }
}

private struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
