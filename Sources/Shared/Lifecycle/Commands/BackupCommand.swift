internal import ArgumentParser
internal import CivilTime
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Storage

/// Backups on demand; without another word, `backup create`.
struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Take a snapshot of the store, or list what there is.",
    subcommands: [BackupCreateCommand.self, BackupListCommand.self], defaultSubcommand: BackupCreateCommand.self)
}

/// Takes a snapshot of the store now, whether the service runs or not.
struct BackupCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Take a snapshot that is kept until somebody deletes it (the default).",
    discussion: """
      The service may be running. The snapshot is encrypted under the newest key and is itself enough to restore the \
      store as it is now; with `serve --backup-dir` every instant within --journal-retention can be restored, too.
      """)

  @Option(help: ArgumentHelp("The directory of the store; also CLINICAVOICE_DATA_DIR.", valueName: "directory"))
  var dataDir: String?

  @Option(help: ArgumentHelp("The directory of the backups; also CLINICAVOICE_BACKUP_DIR.", valueName: "directory"))
  var backupDir: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  func run() async throws {
    let file = try await Interruption.handled(
      remark: "interrupted: nothing was left behind"
    ) { interruption throws(LaunchFailure) in
      var options = StoreOptions(dataDir: dataDir, backupDir: backupDir, keys: storeKeys)
      let (directory, backups) = (try options.dataDirectory(), try options.backups(isMade: true))
      let keyRing = try options.keyRing()
      return try await Interruption.onThread { () throws(LaunchFailure) in
        let progress = ProgressLine()
        do throws(ArchiveError) {
          return try StoreBackup.run(
            storeDirectory: directory, keyRing: keyRing, into: backups, clock: systemStoreClock
          ) { done, total in
            progress.tell("copied \(done) of \(total) pages")
            return !interruption.isRequested
          }
        } catch .interrupted { return nil } catch { throw error.launchFailure }
      }
    }
    CommandOutput.line(
      "\(file.path): \(file.size) bytes, through transaction \(file.sequence); restore it with --to "
        + "\(Instant(microseconds: file.takenAt))")
  }
}

/// Shows what can be restored.
struct BackupListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show the snapshots, and the instants that can be restored.")

  @Option(help: ArgumentHelp("The directory of the backups; also CLINICAVOICE_BACKUP_DIR.", valueName: "directory"))
  var backupDir: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  func run() throws {
    do throws(LaunchFailure) {
      var options = StoreOptions(backupDir: backupDir, keys: storeKeys)
      let (backups, keyRing) = (try options.backups(), try options.keyRing())
      do throws(ArchiveError) {
        let folders = try backups.histories()
        if folders.isEmpty { throw .nothing(path: backups.path) }
        for folder in folders.sorted(by: { $0.name < $1.name }) {
          try show(ArchiveSummary(folder, keyRing: keyRing), keyRing: keyRing)
        }
      } catch { throw error.launchFailure }
    } catch {
      throw error.report()
    }
  }

  private func show(_ summary: ArchiveSummary, keyRing: KeyRing) throws(ArchiveError) {
    CommandOutput.line("history \(summary.folder.name)")
    for file in summary.snapshots {
      let kept = file.kind == .scheduled ? "" : ", kept"
      CommandOutput.line(
        "  \(Instant(microseconds: file.takenAt))  snapshot (\(file.kind.rawValue)\(kept)) through transaction "
          + "\(file.sequence), \(file.size) bytes")
    }
    let bytes = summary.segments.reduce(0) { $0 + $1.size }
    if let through = summary.through {
      CommandOutput.line(
        "  any instant until \(Instant(microseconds: through)), the last transaction's (\(summary.segments.count) "
          + "segments, \(bytes) bytes)")
    }
    let keys = try summary.keysInUse(keyRing: keyRing).sorted().map { String($0) }
    CommandOutput.line("  under key \(keys.joined(separator: ", "))")
  }
}
