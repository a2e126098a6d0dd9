internal import CivilTime
internal import EmbeddedEngine
internal import Logging
internal import Observability
internal import ServiceLifecycle
internal import Storage

/// Keeps a store from growing for ever: deletes expired internal items (idempotency records, invitations), and forgets
/// what is older than the journal's retention.
///
/// Both go on in small transactions among those of callers, until nothing is left to do; then it rests. A fault is
/// logged and tried again later, the longer the oftener it fails. Source: DESIGN 6.
struct StoreUpkeep: Service {
  typealias Store = ExpirySweeping & ChangeJournal

  private let store: any Store
  private let clock: WallClock
  private let interval: Duration
  private let retention: Duration
  private let logger: Logger
  private let archivedUntil: @Sendable () -> Int64
  private let sleep: @Sendable (Duration) async throws -> Void

  /// Items or transactions of one step.
  static let step = 256
  /// The first and the longest pause after a fault.
  private static let pauses = (first: Duration.seconds(1), longest: Duration.seconds(300))

  /// - Parameters:
  ///   - clock: the store's own.
  ///   - interval: the rest between two rounds.
  ///   - retention: how long the journal is kept.
  ///   - archivedUntil: nothing that committed at this time or later may be forgotten: the archive lacks it still
  ///     (microseconds since 1970).
  ///   - sleep: throws when the task is cancelled. Replaced in tests.
  init(
    store: any Store, clock: WallClock, interval: Duration, retention: Duration, logger: Logger,
    archivedUntil: @escaping @Sendable () -> Int64 = { .max },
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.store = store
    self.clock = clock
    self.interval = interval
    self.retention = retention
    self.logger = logger
    self.archivedUntil = archivedUntil
    self.sleep = sleep
  }

  /// Returns when the process drains, or its task is cancelled.
  func run() async throws {
    await cancelWhenGracefulShutdown {
      var failures = 0
      while !Task.isCancelled {
        do {
          try await round()
          failures = 0
        } catch is CancellationError {
          return
        } catch {
          failures += 1
          logger.error(
            "the store could not be swept; it is tried again",
            metadata: ["reason": "\(LoggedCause.describe(error))", "attempt": "\(failures)"])
        }
        do { try await sleep(failures == 0 ? interval : Self.pause(after: failures)) } catch { return }
      }
    }
  }

  /// Sweeps and prunes everything that is due.
  func round() async throws {
    let swept = try await repeated { try await store.sweepExpired(limit: Self.step) }
    if swept > 0 { logger.info("deleted expired items", metadata: ["items": "\(swept)"]) }
    let (seconds, attoseconds) = retention.components
    let horizon = min(
      clock.now().microseconds - seconds * 1_000_000 - attoseconds / 1_000_000_000_000, archivedUntil())
    let pruned = try await repeated { try await store.pruneJournal(before: horizon, limit: Self.step) }
    guard pruned > 0 else { return }
    let kept = try await store.journalBounds()
    logger.info(
      "forgot old transactions of the journal",
      metadata: ["transactions": "\(pruned)", "oldest kept": "\(kept?.lowerBound ?? 0)"])
  }

  /// Repeats a step until it finds less than it could have done.
  private func repeated(_ body: () async throws -> Int) async throws -> Int {
    var total = 0
    while true {
      try Task.checkCancellation()
      let count = try await body()
      total += count
      if count < Self.step { return total }
    }
  }

  static func pause(after failures: Int) -> Duration {
    min(pauses.first * (1 << min(failures - 1, 20)), pauses.longest)
  }
}

extension StoreUpkeep {
  init(
    store: any Store, clock: WallClock, archive: StoreArchive?, configuration: ServeConfiguration, logger: Logger
  ) {
    self.init(
      store: store, clock: clock, interval: configuration.sweepInterval, retention: configuration.journalRetention,
      logger: logger, archivedUntil: { archive?.position.committedAt ?? .max })
  }
}
