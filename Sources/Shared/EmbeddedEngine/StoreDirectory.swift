internal import EncryptedStorage
internal import Foundation

/// The directory of a store: its files, their modes, and the lock that keeps a second process out.
///
/// The lock is `flock`'s, so it ends with the process, however that ends; a stale file does not matter. Its file holds
/// the process's id, in a second line which keys the process can read the store with, and in a third the history of the
/// store that is here, so that a lost database is not taken for a new one.
struct StoreDirectory: Sendable {
  let path: String
  private let lock: Int32

  var database: String { Self.database(in: path) }
  static func database(in directory: String) -> String { directory + "/store.sqlite" }

  /// Makes the directory if it is missing, checks it, and takes the lock.
  ///
  /// - Parameter keys: what the store is opened with.
  /// - Throws: ``EmbeddedStoreError/missing(path:)`` where a store was, and its database is gone.
  init(path: String, keys: [KeyRing.Label]) throws(EmbeddedStoreError) {
    self.path = path
    try Self.prepare(path)
    lock = try Self.takeLock(path)
    do throws(EmbeddedStoreError) {
      let isEmpty = FileList.size(of: database) < (keys.isEmpty ? 1 : Self.sizeWithPages)
      if isEmpty, !history.isEmpty { throw .missing(path: path) }
      try publish(keys: keys, history: history)
    } catch {
      Self.release(lock)
      throw error
    }
    // SQLite gives its WAL and index the mode of the database, so it must exist with the right one.
    let file = unsafe open(path + "/store.sqlite", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      let reason = Self.reason()
      Self.release(lock)
      throw .directory(path: path, reason: reason)
    }
    fchmod(file, 0o600)
    close(file)
  }

  /// Of the store that was opened here last; empty if none ever was.
  private var history: String {
    let lines = Self.contents(lock).split(separator: "\n", omittingEmptySubsequences: false)
    return lines.count > 3 ? String(lines[2]) : ""
  }

  /// Says in the lock's file who we are, which keys we hold, and which store this is.
  func publish(keys: [KeyRing.Label], history: String) throws(EmbeddedStoreError) {
    let words = keys.map { "\($0.id):\(String($0.check, radix: 16))" }
    let text = Array("\(getpid())\n\(words.joined(separator: " "))\n\(history)\n".utf8)
    guard unsafe pwrite(lock, text, text.count, 0) == text.count, ftruncate(lock, text.count) == 0, fsync(lock) == 0
    else { throw .directory(path: path, reason: Self.reason()) }
  }

  /// An encrypted database has a block in front of its pages.
  private static let sizeWithPages = 4097

  /// The keys that the process which has the store open holds, as it said itself.
  static func publishedKeys(path: String) -> [KeyRing.Label] {
    let file = unsafe open(path + "/store.lock", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    let lines = contents(file).split(separator: "\n", omittingEmptySubsequences: false)
    // The last line is empty, or was being written.
    guard lines.count > 2 else { return [] }
    return lines[1].split(separator: " ").compactMap { word in
      let parts = word.split(separator: ":")
      guard parts.count == 2, let id = UInt32(parts[0]), let check = UInt32(parts[1], radix: 16) else { return nil }
      return KeyRing.Label(id: id, check: check)
    }
  }

  /// Gives the lock back. To be called once, when every file is closed.
  func release() { Self.release(lock) }

  /// Unlocked by name: a child that another thread is just starting has the descriptor until it is another program.
  private static func release(_ lock: Int32) {
    flock(lock, LOCK_UN)
    close(lock)
  }
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
    return file
  }

  private static func sync(_ path: String) {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return }
    fsync(directory)
    close(directory)
  }

  private static func holder(_ file: Int32) -> Int32? {
    contents(file).split(separator: "\n").first.flatMap { Int32($0) }
  }

  private static func contents(_ file: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe pread(file, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }

  private static func reason(_ code: Int32 = errno) -> String { unsafe String(cString: strerror(code)) }
}
