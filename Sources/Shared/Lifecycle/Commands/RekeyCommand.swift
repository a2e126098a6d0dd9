internal import ArgumentParser
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Synchronization

/// Encrypts a store anew under the newest of its keys, whether or not its service runs.
struct RekeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rekey", abstract: "Encrypt the store of this service anew under the newest of its keys.",
    discussion: """
      To change the key: append a new one to the service's keys, send the service SIGHUP so that it reads them, then run \
      this with the same keys. The service goes on meanwhile; a stopped service's store works as well, and is locked \
      until this ends. A running service that does not hold the new key yet is refused.

      At most once a second a line on standard error says how far it is. Ctrl-C, or a crash at any point, loses nothing: \
      run it again and it goes on. The last line, on standard output, says which keys the store still needs; the others \
      may be taken from the service's keys and are gone with its next start. Backups made before may need them.

      Exits with 0, with 65 if a page is damaged, with 69 if the store cannot be had, with 78 if the keys do not fit, and \
      with 130 or 143 after a signal.
      """)

  @Option(help: ArgumentHelp("The directory of the store; also CLINICAVOICE_DATA_DIR.", valueName: "directory"))
  var dataDir: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  func run() async throws {
    let summary = try await Interruption.handled(
      remark: "interrupted: what is done stays done; run it again to go on"
    ) { interruption throws(LaunchFailure) in
      var options = StoreOptions(dataDir: dataDir, keys: storeKeys)
      return try await rekey(try options.dataDirectory(), try options.keyRing(), interruption)
    }
    CommandOutput.line(summary)
  }

  /// `nil` if a signal has ended it.
  private func rekey(
    _ directory: String, _ keyRing: KeyRing, _ interruption: Interruption
  ) async throws(LaunchFailure) -> String? {
    let reports = RekeyReports()
    CommandOutput.error("encrypting the store in \(directory) anew under key \(keyRing.ids.last ?? 0)")
    do throws(EmbeddedStoreError) {
      let uses = try await EmbeddedStore.rekey(directory: directory, keyRing: keyRing) { progress in
        let isInterrupted = interruption.isRequested
        if let line = reports.line(for: progress, isLast: isInterrupted, now: .now) { CommandOutput.error(line) }
        return !isInterrupted
      }
      return RekeyReports.summary(uses, keys: keyRing.ids)
    } catch .keys(.interrupted) {
      return nil
    } catch {
      throw LaunchFailure(error.kind, error.description)
    }
  }
}

/// What a rekey says.
final class RekeyReports: Sendable {
  private let last = Mutex<ContinuousClock.Instant?>(nil)

  /// A line if the last one is a second old, or this is the end.
  func line(
    for progress: EncryptedVFS.RekeyProgress, isLast: Bool, now: ContinuousClock.Instant
  ) -> String? {
    let isDue = last.withLock { last in
      guard isLast || progress.pages == progress.total || last.map({ now - $0 >= .seconds(1) }) ?? true else {
        return false
      }
      last = now
      return true
    }
    guard isDue else { return nil }
    return "\(progress.pages) of \(progress.total) pages, \(progress.rewritten) of them encrypted anew"
  }

  /// - Parameter keys: all ids, the newest last.
  static func summary(_ uses: [EncryptedVFS.KeyUse], keys: [UInt32]) -> String {
    func amounts(_ use: EncryptedVFS.KeyUse?) -> String {
      "\(use?.pages ?? 0) pages and \(use?.frames ?? 0) WAL frames"
    }
    let newest = keys.last ?? 0
    let current = uses.first { $0.id == newest }
    let older = uses.filter { $0.id != newest }
    var parts = ["\(older.isEmpty ? "all " : "")\(amounts(current)) are under key \(newest)"]
    parts += older.map { "\(amounts($0)) are still under key \($0.id), which this store needs" }
    let free = keys.filter { id in id != newest && !older.contains { $0.id == id } }
    parts += free.map { "key \($0) is no longer needed by this store" }
    return parts.joined(separator: "; ")
  }
}
