internal import ArgumentParser
internal import CivilTime
internal import EmbeddedEngine
internal import Storage

/// Makes a new store as the archived one was at an instant.
struct RestoreCommand<Definition: ServiceDefinition>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "restore", abstract: "Make a new store as this one was at an instant.",
      discussion: """
        Only reads --backup-dir, and never writes into a directory that exists. The new store is verified: exit code 65 \
        and one line for each problem if something is wrong with it. Start the service on it with `serve --data-dir` \
        afterwards.
        """)
  }

  @Option(help: ArgumentHelp("The directory of the backups; also CLINICAVOICE_BACKUP_DIR.", valueName: "directory"))
  var backupDir: String?

  @Option(
    help: ArgumentHelp(
      "The instant, RFC 3339, such as 2026-03-01T14:05:00Z: with all that had committed by then.", valueName: "instant")
  )
  var to: String

  @Option(help: ArgumentHelp("The directory to make for the new store.", valueName: "directory"))
  var into: String

  @Option(
    help: ArgumentHelp(
      "Which of several histories, as `backup list` names them (default: the one that was alive then).",
      valueName: "name"))
  var history: String?

  @Option(
    help: ArgumentHelp("Part of the tables' names; also CLINICAVOICE_ENVIRONMENT (default: dev).", valueName: "name"))
  var environment: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  func run() async throws {
    let result = try await Interruption.handled(
      remark: "interrupted: nothing was left behind"
    ) { interruption throws(LaunchFailure) in
      let restore = try prepare()
      return try await Interruption.onThread { () throws(LaunchFailure) in
        let progress = ProgressLine()
        do throws(ArchiveError) {
          return try restore.run(Definition.makeSweep()) { step in
            progress.tell(step)
            return !interruption.isRequested
          }
        } catch .interrupted { return nil } catch { throw error.launchFailure }
      }
    }
    guard result.report.isClean else {
      throw LaunchFailure(.data, result.report.problems.map { "The new store in \(into): \($0)." }).report()
    }
    if !result.reachesBeyond {
      CommandOutput.error(
        "note: the archive has nothing later than transaction \(result.position.sequence) of "
          + "\(Instant(microseconds: result.position.committedAt)); whatever came after it is not in it")
    }
    CommandOutput.line(
      "\(into): the store as of \(to), through transaction \(result.position.sequence) (the snapshot of "
        + "\(Instant(microseconds: result.snapshot.takenAt)) and \(result.transactions) transactions after it); "
        + "\(result.report.items) items and \(result.report.transactions) journal records: all is well.")
  }

  private func prepare() throws(LaunchFailure) -> StoreRestore {
    guard let instant = Instant(to) else {
      throw LaunchFailure(.configuration, "The value \"\(to)\" of --to is not an instant such as 2026-03-01T14:05:00Z.")
    }
    var options = StoreOptions(backupDir: backupDir, environment: environment, keys: storeKeys)
    return StoreRestore(
      backups: try options.backups(), history: history, instant: instant.microseconds, destination: into,
      environment: options.environmentName(), tables: Definition.tables, keyRing: try options.keyRing())
  }
}

extension ProgressLine {
  fileprivate func tell(_ step: StoreRestore.Progress) {
    switch step {
    case .copying(let pages, let total): tell("copied \(pages) of \(total) pages")
    case .replaying(let transactions): tell("replayed \(transactions) transactions")
    case .verifying: CommandOutput.error("verifying the new store")
    }
  }
}
