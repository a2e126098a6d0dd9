internal import Dispatch
internal import EncryptedStorage
internal import Foundation
package import Storage
internal import Synchronization

/// The archive of an open store: its journal, at most a moment behind, and snapshots from time to time, so that it can be
/// restored to any instant within the retention. Everything in it is encrypted under the store's keys.
///
/// One process writes an archive, the one that has the store open. It never holds the store up: where the archive cannot
/// be written, the store goes on, the journal keeps what is missing, and it is tried again.
package final class StoreArchive: Sendable {
  package struct Configuration: Sendable {
    package var backups: BackupDirectory
    /// How far back the store can be restored.
    package var retention: Duration
    /// The time between two snapshots.
    package var snapshotInterval: Duration
    package var clock: StoreClock
    /// Called on a thread of the archive; must return soon.
    package var onEvent: @Sendable (Event) -> Void

    package init(
      backups: BackupDirectory, retention: Duration, snapshotInterval: Duration,
      clock: @escaping StoreClock = systemStoreClock, onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
      self.backups = backups
      self.retention = retention
      self.snapshotInterval = snapshotInterval
      self.clock = clock
      self.onEvent = onEvent
    }
  }

  /// What an operator wants to know.
  package enum Event: Sendable, Hashable {
    /// The journal cannot be shipped, or no snapshot made; told once, until it works again.
    case failing(String)
    case recovered
    case snapshot(SnapshotFile)
    /// Files that were deleted since retention is over.
    case deleted(count: Int)
  }

  package let folder: ArchiveFolder
  private let configuration: Configuration
  private let database: StoreDatabase
  private let commits: CommitSignal
  private let names: Set<String>
  /// Shipping and snapshots have a thread each, so that a long snapshot delays no record.
  private let shipping = DispatchQueue(label: "store.archive.journal")
  private let copying = DispatchQueue(label: "store.archive.snapshots")
  // Used on the queue `shipping` only.
  nonisolated(unsafe) private let shipper: JournalShipper
  private let lock: ArchiveLock
  private let state: Mutex<State>

  private struct State {
    var position: JournalPosition
    var failures: Set<String> = []
  }

  /// The pause between two frames, so that a busy store's commits share a sync of the archive.
  private static let pause: Duration = .milliseconds(100)
  private static let pauses = (first: Duration.seconds(1), longest: Duration.seconds(30))
  private static let scheduleInterval: Duration = .seconds(60)

  /// Takes the archive of a store, or begins it with a first snapshot. Blocks.
  init(
    database: StoreDatabase, history: String, tables: StoreTables, commits: CommitSignal, keyRing: KeyRing,
    configuration: Configuration
  ) throws(ArchiveError) {
    let opening = try ArchiveOpening(
      database: database, history: history, tables: tables, keyRing: keyRing, configuration: configuration)
    folder = opening.folder
    lock = opening.lock
    self.database = database
    self.commits = commits
    self.configuration = configuration
    names = Set(tables.all.map(\.schema.name))
    unsafe shipper = try JournalShipper(
      opening.folder, database: database, tables: tables, keyRing: keyRing, clock: configuration.clock,
      from: opening.place)
    state = Mutex(State(position: opening.place.position))
  }

  /// The place up to which everything is in the archive, durably.
  package var position: JournalPosition { state.withLock { $0.position } }

  /// Ships and makes snapshots until the task is cancelled.
  package func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.ship() }
      group.addTask { await self.keepSchedule() }
    }
  }

  /// Ships what is left and completes the segment. To be called once, after ``run()``, before the store is closed.
  package func close() async throws(ArchiveError) {
    let result = await perform(on: shipping) { () throws(ArchiveError) in
      defer { unsafe self.shipper.close() }
      while try self.shipFrame() {}
      unsafe try self.shipper.complete()
    }
    lock.release()
    try result.get()
  }

  /// Takes a snapshot now.
  package func snapshot(_ kind: SnapshotFile.Kind) async throws(ArchiveError) -> SnapshotFile {
    let result = await perform(on: copying) { () throws(ArchiveError) in
      try Snapshot.take(of: self.database, into: self.folder, kind: kind, clock: self.configuration.clock).file
    }
    return try result.get()
  }
}

extension StoreArchive {
  private func ship() async {
    let follower = commits.follow(ChangeFilter(tables: names))
    var failures = 0
    while !Task.isCancelled {
      // Before the journal is read: what commits from here on wakes the wait below.
      _ = follower.take()
      let result = await perform(on: shipping) { () throws(ArchiveError) in while try self.shipFrame() {} }
      failures = note(result, of: "journal") ? 0 : failures + 1
      if failures == 0 { await follower.wait() }
      try? await Task.sleep(for: failures == 0 ? Self.pause : Self.pause(after: failures))
    }
  }

  private func shipFrame() throws(ArchiveError) -> Bool {
    let hasMore = unsafe try shipper.shipFrame()
    let position = unsafe shipper.position
    state.withLock { $0.position = position }
    return hasMore
  }

  private func keepSchedule() async {
    while !Task.isCancelled {
      let result = await perform(on: copying) { () throws(ArchiveError) in try self.takeTurn() }
      _ = note(result, of: "snapshot")
      try? await Task.sleep(for: Self.scheduleInterval)
    }
  }

  /// Makes a snapshot if one is due, and deletes what retention no longer asks for.
  private func takeTurn() throws(ArchiveError) {
    let now = configuration.clock()
    let newest = try folder.snapshots().last { $0.kind == .scheduled }?.takenAt
    if newest.map({ now - $0 >= configuration.snapshotInterval.microseconds }) ?? true {
      let taken = try Snapshot.take(of: database, into: folder, kind: .scheduled, clock: configuration.clock)
      configuration.onEvent(.snapshot(taken.file))
    }
    let deleted = try ArchiveRetention.enforce(in: folder, horizon: now - configuration.retention.microseconds)
    if deleted > 0 { configuration.onEvent(.deleted(count: deleted)) }
  }

  /// Tells when something begins to fail, and when nothing fails any more. True if `result` is a success.
  private func note(_ result: Result<Void, ArchiveError>, of activity: String) -> Bool {
    let event: Event? = state.withLock { state in
      switch result {
      case .success: state.failures.remove(activity) != nil && state.failures.isEmpty ? .recovered : nil
      case .failure(let error): state.failures.insert(activity).inserted ? .failing(error.description) : nil
      }
    }
    if let event { configuration.onEvent(event) }
    if case .success = result { return true }
    return false
  }

  private static func pause(after failures: Int) -> Duration {
    min(pauses.first * (1 << min(failures - 1, 10)), pauses.longest)
  }

  private func perform<Value: Sendable>(
    on queue: DispatchQueue, _ body: @escaping @Sendable () throws(ArchiveError) -> Value
  ) async -> Result<Value, ArchiveError> {
    await withCheckedContinuation { answer in queue.async { answer.resume(returning: Result(catching: body)) } }
  }
}

extension Duration {
  /// Cut off below the microsecond.
  var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
