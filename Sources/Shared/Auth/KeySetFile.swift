internal import FoundationEssentials
internal import Glibc
package import Logging
package import NIOCore
internal import Synchronization

/// The key set that verifies people's tokens, from a file that may be replaced while the process runs.
///
/// Looked at once a second at most, when a token is verified. A file that became unreadable leaves the last good keys
/// in force and is reported in the log, once for each change.
package final class KeySetFile: Sendable {
  /// The keys in force; a new generation ends what an older one had verified.
  struct Snapshot: Sendable {
    let keys: SigningKeySet
    let generation: Int
  }

  /// The largest file that is read.
  package static let maximumBytes = 1 << 20
  /// The time between two looks at the file.
  package static let interval: TimeAmount = .seconds(1)

  private struct State {
    var snapshot: Snapshot
    var stamp: FileStamp?
    var nextLook: NIODeadline
  }

  private let path: String
  private let now: @Sendable () -> NIODeadline
  private let logger: Logger
  private let state: Mutex<State>

  /// Reads the file.
  ///
  /// - Throws: ``KeySetFileError`` in one sentence for the operator.
  package init(
    _ location: String, logger: Logger, now: @escaping @Sendable () -> NIODeadline = NIODeadline.now
  ) async throws(KeySetFileError) {
    guard !location.contains("://") else {
      throw KeySetFileError("The key set \(location) is a URL; this version reads key sets from files only.")
    }
    self.path = location
    self.now = now
    self.logger = logger
    let stamp = FileStamp(of: location)
    let keys = try await Self.read(location)
    self.state = Mutex(
      State(
        snapshot: Snapshot(keys: keys, generation: 0), stamp: stamp, nextLook: now() + Self.interval))
  }

  /// The keys in force, without a look at the file; `nil` when it is time to look again.
  var current: Snapshot? {
    let now = now()
    return state.withLock { $0.nextLook > now ? $0.snapshot : nil }
  }

  /// The keys in force, after a look at the file if one is due.
  func refreshed() async -> Snapshot {
    let now = now()
    let (snapshot, isDue, last) = state.withLock { state in
      let isDue = state.nextLook <= now
      // Whoever comes first looks; the others go on with what is there.
      if isDue { state.nextLook = now + Self.interval }
      return (state.snapshot, isDue, state.stamp)
    }
    guard isDue else { return snapshot }
    let stamp = FileStamp(of: path)
    guard stamp != last else { return snapshot }
    do throws(KeySetFileError) {
      let keys = try await Self.read(path)
      logger.notice("Read the changed key set.", metadata: ["keys": "\(keys.keys.count)"])
      return state.withLock { state in
        state.snapshot = Snapshot(keys: keys, generation: state.snapshot.generation + 1)
        state.stamp = stamp
        return state.snapshot
      }
    } catch {
      logger.error("The key set changed but cannot be used; the last good keys stay in force. \(error.description)")
      state.withLock { $0.stamp = stamp }
      return snapshot
    }
  }

  private static func read(_ path: String) async throws(KeySetFileError) -> SigningKeySet {
    let bytes: [UInt8]
    do {
      let data = try Data(contentsOf: URL(filePath: path))
      guard data.count <= maximumBytes else {
        throw SigningKeySetError("is larger than \(maximumBytes) bytes")
      }
      bytes = [UInt8](data)
    } catch let error as SigningKeySetError {
      throw KeySetFileError("The key set \(path) \(error.description).")
    } catch {
      throw KeySetFileError("The key set \(path) cannot be read.")
    }
    do throws(SigningKeySetError) {
      return try await SigningKeySet(json: bytes)
    } catch {
      throw KeySetFileError("The key set \(path) \(error.description).")
    }
  }
}

/// Why there are no keys, in one sentence for the operator.
package struct KeySetFileError: Error, Sendable {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// Tells one content of a file from another without reading it.
private struct FileStamp: Equatable {
  let seconds: Int
  let nanoseconds: Int
  let size: Int
  let number: UInt

  init?(of path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
    size = Int(status.st_size)
    number = UInt(status.st_ino)
  }
}
