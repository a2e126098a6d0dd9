internal import Dispatch
internal import EncryptedStorage
internal import GRDB
internal import Synchronization

/// Copies the WAL into the database on a thread of its own, while the writer goes on.
///
/// SQLite begins the WAL anew only when all of it has been copied, which a busy writer never lets happen. So the thread
/// copies what there is, then what the writer has written meanwhile, and so on as long as that becomes less; the little
/// that is left the writer copies itself, between two groups. Only a writer that is far ahead of the disk waits for this
/// thread, so the WAL is bounded, unless a reader keeps an old snapshot, as the copy of a whole store does.
///
/// The thread gives way to others, and rests between short stretches of work until it sees that the writer is faster: what
/// is changed again meanwhile is copied once, so a busy store has 10 to 20 % more done than without rests (a store in
/// clear, which is for development, knows neither). A failure loses nothing, the WAL still has it all; once the store has
/// failed, nothing is copied, since a sync that succeeds after one that did not says nothing.
final class Checkpointer: Sendable {
  private enum Stage {
    case idle
    /// The thread is at work.
    case copying
    /// So many pages of the WAL are in the database; the writer decides how it goes on.
    case copied(Int)
  }

  private struct State {
    var stage = Stage.idle
    /// Pages that the round under way, or the last one, had to copy, and whether it does so without rests.
    var bulk = 0
    var isHurried = false
    /// Pages in the WAL when a reader last kept it from being copied whole; 0 once it was.
    var kept = 0
  }

  // Only the thread touches the connection once it runs; before, the initializer has it alone.
  nonisolated(unsafe) private let connection: Connection
  private let pages: Int
  private let health: StoreHealth
  private let state = Mutex(State())
  private let underway = DispatchGroup()
  private let rounds = WorkQueue<Void>(capacity: 1)
  private let finished = Finish()

  /// How many times ``pages`` the WAL may grow to before the writer waits.
  private static let patience = 8
  /// How many times ``pages`` may be left by a round with rests that gains nothing: above, the next one has no rests.
  private static let much = 2
  /// Pages that the writer copies by itself rather than wait for another round.
  private static let little = 256
  /// After each stretch of as much work: about three pages.
  private static let rest: Duration = .microseconds(30)

  /// - Parameter pages: in the WAL when a round begins.
  init(path: String, pages: Int, health: StoreHealth) throws {
    unsafe connection = try Connection(path: path, configuration: .writer)
    unsafe try connection.makeDurable()
    self.pages = pages
    self.health = health
  }

  func start() { StoreThread.checkpointer.start { self.run() } }

  /// For the writer, between two groups.
  ///
  /// - Parameters:
  ///   - walPages: in the WAL now.
  ///   - copyRest: the writer's part, a checkpoint by its own connection.
  func advance(walPages: Int, copyRest: () throws -> Void) {
    // What piled up while a reader kept the log is copied beside the writer, who may write twice as much meanwhile.
    if walPages >= max(Self.patience * pages, 3 * state.withLock { $0.kept }) { underway.wait() }
    let state = state.withLock { $0 }
    // Asked after the stage: a round that failed says so before it ends. Not due any more if a pause let SQLite begin the
    // WAL anew already.
    let isDue = walPages >= pages && !health.hasFailed
    switch state.stage {
    case .copying: return
    case .idle: if isDue { begin(copying: walPages, isHurried: walPages > Self.patience * pages) }
    case .copied(let pages):
      let rest = walPages - pages
      let isGaining = rest <= state.bulk / 4 * 3
      let hurries = !state.isHurried && rest > Self.much * self.pages
      if isDue, rest > Self.little, isGaining || hurries {
        return begin(copying: rest, isHurried: state.isHurried || !isGaining)
      }
      if isDue { do { try copyRest() } catch { health.checkpointFailed(error) } }
      self.state.withLock { $0 = State() }
    }
  }

  func close() async throws {
    rounds.close()
    try await finished.wait()
  }

  private func begin(copying pages: Int, isHurried: Bool) {
    state.withLock { ($0.stage, $0.bulk, $0.isHurried) = (.copying, pages, isHurried) }
    underway.enter()
    do { try rounds.submit(()) } catch {
      // It is closed.
      move(to: .idle)
      underway.leave()
    }
  }

  private func move(to stage: Stage) { state.withLock { $0.stage = stage } }

  private func run() {
    while rounds.next(limit: 1) != nil {
      do {
        unsafe try connection.restBetweenPages(state.withLock { $0.isHurried } ? .zero : Self.rest)
        let round = health.hasFailed ? nil : unsafe try connection.checkpoint()
        if let round, round.copied < round.frames {
          // A reader keeps an old snapshot: the bulk is still to be copied, and not by the writer.
          state.withLock { ($0.stage, $0.kept) = (.idle, round.frames) }
        } else {
          move(to: .copied(round?.copied ?? 0))
        }
      } catch {
        health.checkpointFailed(error)
        move(to: .idle)
      }
      underway.leave()
    }
    finished.finish(Result { unsafe try connection.close() })
  }
}

extension Connection {
  /// Each commit and each checkpoint is on the disk when it returns, and none happens inside a commit.
  func makeDurable() throws {
    try withDatabase { database in
      // GRDB sets NORMAL for every WAL connection, after the configuration's own statements.
      try database.execute(sql: "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
    }
  }

  /// Does nothing for a store in clear.
  fileprivate func restBetweenPages(_ duration: Duration) throws {
    try withDatabase { database in
      guard let connection = unsafe database.sqliteConnection, EncryptedVFS.isEncrypted(connection: connection) else {
        return
      }
      try EncryptedVFS.rest(for: duration, betweenPagesOf: connection)
    }
  }

  /// Copies what readers allow from the WAL into the database, without waiting for anyone.
  ///
  /// - Returns: frames in the WAL when it began, and how many of them are in the database now.
  @discardableResult
  func checkpoint() throws -> (frames: Int, copied: Int) {
    let result = try withDatabase { try $0.checkpoint(.passive) }
    return (result.walFrameCount, result.checkpointedFrameCount)
  }
}
