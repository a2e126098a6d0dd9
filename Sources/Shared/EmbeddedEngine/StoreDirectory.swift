internal import Foundation

/// The directory of a store: its files, their modes, and the lock that keeps a second process out.
///
/// The lock is `flock`'s, so it ends with the process, however that ends; a stale file does not matter.
struct StoreDirectory: Sendable {
  let path: String
  private let lock: Int32

  var database: String { Self.database(in: path) }
  static func database(in directory: String) -> String { directory + "/store.sqlite" }

  /// Makes the directory if it is missing, checks it, and takes the lock.
  init(path: String) throws(EmbeddedStoreError) {
    self.path = path
    try Self.prepare(path)
    lock = try Self.takeLock(path)
    // SQLite gives its WAL and index the mode of the database, so it must exist with the right one.
    let file = unsafe open(path + "/store.sqlite", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      let reason = Self.reason()
      close(lock)
      throw .directory(path: path, reason: reason)
    }
    fchmod(file, 0o600)
    close(file)
  }

  /// Gives the lock back. To be called once, when every file is closed.
  func release() { close(lock) }
}

extension StoreDirectory {
  private static func prepare(_ path: String) throws(EmbeddedStoreError) {
    if unsafe mkdir(path, 0o700) == 0 {
      // The directory's own entry must outlive a power cut; SQLite sees to those inside.
      sync(URL(fileURLWithPath: path).deletingLastPathComponent().path)
    } else if errno != EEXIST {
      throw .directory(path: path, reason: reason())
    }
    var info = stat()
    guard unsafe stat(path, &info) == 0 else { throw .directory(path: path, reason: reason()) }
    guard info.st_mode & S_IFMT == S_IFDIR else { throw .directory(path: path, reason: "it is not a directory") }
    guard info.st_mode & 0o022 == 0 else {
      throw .directoryTooOpen(path: path, mode: UInt16(info.st_mode & 0o7777))
    }
    if info.st_mode & 0o077 != 0, unsafe chmod(path, 0o700) != 0 { throw .directory(path: path, reason: reason()) }
    guard unsafe access(path, R_OK | W_OK | X_OK) == 0 else { throw .directory(path: path, reason: reason()) }
  }

  private static func takeLock(_ path: String) throws(EmbeddedStoreError) -> Int32 {
    let file = unsafe open(path + "/store.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw .directory(path: path, reason: reason()) }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      let error = errno
      let holder = holder(file)
      close(file)
      guard error == EWOULDBLOCK else { throw .directory(path: path, reason: reason(error)) }
      throw .inUse(path: path, process: holder)
    }
    let line = Array("\(getpid())\n".utf8)
    guard ftruncate(file, 0) == 0, unsafe pwrite(file, line, line.count, 0) == line.count else {
      let reason = reason()
      close(file)
      throw .directory(path: path, reason: reason)
    }
    return file
  }

  private static func sync(_ path: String) {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return }
    fsync(directory)
    close(directory)
  }

  private static func holder(_ file: Int32) -> Int32? {
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(file, &bytes, bytes.count, 0)
    return Int32(String(decoding: bytes.prefix(max(0, count)).prefix { $0 != 0x0A }, as: UTF8.self))
  }

  private static func reason(_ code: Int32 = errno) -> String { unsafe String(cString: strerror(code)) }
}
