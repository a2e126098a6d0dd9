internal import CFaultyDisk

/// A SQLite VFS that fails the calls that a test chooses, and knows what a disk may hold after a power cut.
///
/// Meant for one directory; see `CFaultyDisk.h` for what it models. Everything that uses it must be closed before it goes.
// @unchecked: the C object is protected by its own mutex.
package final class FaultyDisk: @unchecked Sendable {
  /// The name of the VFS.
  package let name: String
  private let handle: OpaquePointer

  package init() throws {
    let name = "faulty-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    var handle: OpaquePointer?
    let code = faulty_disk_create(name, &handle)
    guard code == SQLITE_OK, let handle else { throw Failure(code: code) }
    self.name = name
    self.handle = handle
  }

  deinit { _ = faulty_disk_destroy(handle) }

  package struct Failure: Error { package var code: Int32 }

  /// Kinds of calls.
  package struct Calls: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let reads = Calls(rawValue: FAULTY_READ)
    package static let writes = Calls(rawValue: FAULTY_WRITE)
    package static let truncations = Calls(rawValue: FAULTY_TRUNCATE)
    package static let syncs = Calls(rawValue: FAULTY_SYNC)
    package static let all = Calls(rawValue: FAULTY_ALL)
  }

  // MARK: Faults

  /// Lets the call with this number (from 1, among those of `calls` from now on) fail, or all from it on.
  ///
  /// - Parameters:
  ///   - code: SQLite's result code for them; `nil` is SQLITE_IOERR in the form for each kind of call.
  ///   - torn: a failing write has written the first half of its bytes.
  package func fail(
    _ calls: Calls, number: Int, persistently: Bool = false, code: Int32? = nil, torn: Bool = false
  ) {
    faulty_disk_set_fault(
      handle,
      FaultyDiskFault(
        kinds: calls.rawValue, number: Int64(number), persistent: persistently, code: code ?? 0, torn: torn))
  }

  /// Ends the faults and counts calls from zero.
  package func heal() { fail([], number: 0) }

  /// Calls since ``fail(_:number:persistently:code:torn:)`` or ``heal()``, those that failed included.
  package func count(_ calls: Calls) -> Int { Int(faulty_disk_calls(handle, calls.rawValue)) }

  /// The kinds of calls that have failed since.
  package var failed: Calls { Calls(rawValue: faulty_disk_failed(handle)) }

  // MARK: Power cuts

  /// Starts the log, before the first file is opened.
  package func record() throws { try check(faulty_disk_record(handle)) }

  /// The end of the log now.
  package var position: Int { Int(faulty_disk_position(handle)) }

  /// What survives of that which was not synced.
  package enum Survival: Sendable {
    case nothing, everything
    /// Any part, as the seed has it.
    case some(seed: UInt64)
  }

  /// Puts into `directory` what the disk may hold when the power goes at `position`.
  package func rebuild(at position: Int, _ survival: Survival, into directory: String) throws {
    let (kind, seed): (FaultyDiskSurvival, UInt64) =
      switch survival {
      case .nothing: (FAULTY_SURVIVES_NOTHING, 0)
      case .everything: (FAULTY_SURVIVES_EVERYTHING, 0)
      case .some(let seed): (FAULTY_SURVIVES_SOME, seed)
      }
    try check(faulty_disk_rebuild(handle, Int64(position), kind, seed, directory))
  }

  private func check(_ code: Int32) throws { if code != SQLITE_OK { throw Failure(code: code) } }
}
