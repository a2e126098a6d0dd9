internal import CEncryptedVFS
internal import Foundation

extension EncryptedVFS {
  /// How far a rekey has come.
  package struct RekeyProgress: Sendable, Hashable {
    /// Pages looked at and pages of the database; both may grow while writers are at work.
    package var pages: UInt32
    package var total: UInt32
    /// Pages encrypted anew so far.
    package var rewritten: UInt64
  }

  /// Encrypts everything in the database that is not under the newest key anew, and empties the WAL, while others read and
  /// write. Blocks; meant for a thread of its own.
  ///
  /// Works in steps of at most 256 pages, each of which survives a crash at any point. Interrupted (by a crash, or by
  /// `progress`), it is simply called again and passes over what is done.
  ///
  /// - Parameter progress: called after each step; `false` interrupts.
  /// - Returns: the keys that are still in use: only the newest, unless others wrote under an older one meanwhile.
  /// - Throws: ``EncryptedStorageError/damaged(path:)`` when a page does not authenticate, ``EncryptedStorageError/busy(path:)``
  ///   when readers or writers do not let the WAL be emptied, ``EncryptedStorageError/interrupted``.
  package func rekey(
    databaseAt path: String, progress: (RekeyProgress) -> Bool = { _ in true }
  ) throws(EncryptedStorageError) -> [KeyUse] {
    let connection = try RekeyConnection(uri: uri(databaseAt: path), path: path)
    try connection.checkpoint()
    var done = RekeyProgress(pages: 0, total: 0, rewritten: 0)
    var step = CEVRekeyStep(next_page: 1, page_count: 0, rewritten: 0)
    repeat {
      try connection.perform(&step)
      done.total = step.page_count
      done.pages = min(step.next_page - 1, step.page_count)
      done.rewritten += UInt64(step.rewritten)
      guard progress(done) else { throw .interrupted }
      // A step keeps checkpoints out; between two, one may begin, and the next step waits for it.
      usleep(1000)
    } while step.next_page <= step.page_count
    try connection.emptyWAL()
    return try keysInUse(databaseAt: path)
  }
}

/// A connection of the rekey's own: it holds the database open, so that nobody leaves WAL mode meanwhile.
@safe private final class RekeyConnection {
  private let path: String
  private let connection: OpaquePointer
  /// The patience for a checkpoint that is under way, and for a moment between two transactions of a busy writer.
  private static let patienceMicros: UInt32 = 20_000_000
  private static let pauseMicros: UInt32 = 100

  init(uri: String, path: String) throws(EncryptedStorageError) {
    var connection: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE
    var code = unsafe sqlite3_open_v2(uri, &connection, flags, nil)
    // SQLite's own handler sleeps longer each time, and loses against a writer that begins anew after microseconds.
    if code == SQLITE_OK {
      code = unsafe sqlite3_busy_handler(connection, { _, attempts in RekeyConnection.pause(attempts) ? 1 : 0 }, nil)
    }
    // A read opens the WAL, and with it the locks that the steps need.
    if code == SQLITE_OK {
      code = unsafe sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema", nil, nil, nil)
    }
    guard code == SQLITE_OK, let opened = unsafe connection else {
      unsafe sqlite3_close(connection)
      throw Self.error(code, path)
    }
    self.path = path
    unsafe self.connection = opened
  }

  deinit { unsafe sqlite3_close(connection) }

  func perform(_ step: inout CEVRekeyStep) throws(EncryptedStorageError) {
    try patiently { unsafe cev_rekey_step(connection, &step) }
  }

  /// Brings what is in the WAL into the database: a page there may be one that a crash tore in a checkpoint.
  func checkpoint() throws(EncryptedStorageError) {
    try patiently { unsafe sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, nil, nil) }
  }

  /// Repeats what answers that a checkpoint is under way.
  private func patiently(_ body: () -> Int32) throws(EncryptedStorageError) {
    var attempts: Int32 = 0
    while true {
      let code = body()
      if code == SQLITE_OK { return }
      guard code & 0xff == SQLITE_BUSY, Self.pause(attempts) else { throw Self.error(code, path) }
      attempts += 1
    }
  }

  /// False when there were enough attempts.
  private static func pause(_ attempts: Int32) -> Bool {
    guard UInt32(attempts) < patienceMicros / pauseMicros else { return false }
    usleep(pauseMicros)
    return true
  }

  /// Frames of the WAL may be under an older key; those still needed become pages under the newest.
  func emptyWAL() throws(EncryptedStorageError) {
    let start = ContinuousClock.now
    while true {
      let code = unsafe sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
      if code == SQLITE_OK { return }
      // The busy handler is not asked where another checkpoint is under way.
      let isPatient = ContinuousClock.now - start < .microseconds(Int64(Self.patienceMicros))
      guard code & 0xff == SQLITE_BUSY, isPatient else { throw Self.error(code, path) }
      usleep(Self.pauseMicros)
    }
  }

  private static func error(_ code: Int32, _ path: String) -> EncryptedStorageError {
    switch code {
    case SQLITE_IOERR | (32 << 8): .damaged(path: path)  // SQLITE_IOERR_DATA
    case _ where code & 0xff == SQLITE_BUSY: .busy(path: path)
    default: .sqlite(code: code)
    }
  }
}
