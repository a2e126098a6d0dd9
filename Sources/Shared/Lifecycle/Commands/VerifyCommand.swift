internal import ArgumentParser
internal import CivilTime
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Storage

/// Checks the store of a service that does not run (structure, checksums, indexes and journal, and the service's items
/// against each other), its backups, or both against each other.
struct VerifyCommand<Definition: ServiceDefinition>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "verify", abstract: "Check the store of this service, its backups, or both.",
      discussion: """
        With --data-dir the store, which must not be in use; with --backup-dir every snapshot and every archived \
        transaction, also while the service runs; with both, also that the store's journal says what the archive says. \
        Exits with 0 if all is well, with 65 and one line for each problem if not.
        """)
  }

  @Option(help: ArgumentHelp("The directory of the store; also CLINICAVOICE_DATA_DIR.", valueName: "directory"))
  var dataDir: String?

  @Option(help: ArgumentHelp("The directory of the backups; also CLINICAVOICE_BACKUP_DIR.", valueName: "directory"))
  var backupDir: String?

  @Option(
    help: ArgumentHelp("Part of the tables' names; also CLINICAVOICE_ENVIRONMENT (default: dev).", valueName: "name"))
  var environment: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  func run() async throws {
    do throws(LaunchFailure) {
      var options = StoreOptions(dataDir: dataDir, backupDir: backupDir, environment: environment, keys: storeKeys)
      let backups = try options.optionalBackups()
      let directory = backups == nil ? try options.dataDirectory() : try options.optionalDataDirectory()
      let environment = options.environmentName()
      let keyRing = try options.optionalKeyRing(isRequired: backups != nil)
      if let directory {
        let report = try await verify(directory, environment: environment, keyRing: keyRing)
        CommandOutput.line("\(report.items) items and \(report.transactions) journal records: all is well.")
      }
      if let backups, let keyRing { try verify(backups, keyRing: keyRing, storeDirectory: directory) }
    } catch {
      throw error.report()
    }
  }

  /// - Parameter storeDirectory: of the store that the newest of its histories is compared with.
  private func verify(_ backups: BackupDirectory, keyRing: KeyRing, storeDirectory: String?) throws(LaunchFailure) {
    let progress = ProgressLine()
    var problems: [String] = []
    do throws(ArchiveError) {
      let folders = try backups.histories()
      if folders.isEmpty { throw .nothing(path: backups.path) }
      let own = try storeDirectory.map { directory throws(ArchiveError) in
        try StoreBackup.folder(ofStoreIn: directory, keyRing: keyRing, in: backups)
      }
      for folder in folders.sorted(by: { $0.name < $1.name }) {
        let store = folder == own ? storeDirectory : nil
        let report = try ArchiveVerification(folder, keyRing: keyRing, storeDirectory: store).run { file in
          progress.tell("reading \(file)")
        }
        problems += report.problems
        let range = report.restorableFrom.map { from in
          ", from \(Instant(microseconds: from)) to \(Instant(microseconds: max(from, report.through ?? from)))"
        }
        CommandOutput.line(
          "history \(folder.name): \(report.snapshots) snapshots and \(report.transactions) transactions in "
            + "\(report.segments) segments\(range ?? ""): \(report.isClean ? "all is well" : "not well").")
      }
    } catch { throw error.launchFailure }
    guard problems.isEmpty else { throw LaunchFailure(.data, problems.map { "\($0)." }) }
  }

  private func verify(
    _ directory: String, environment: String, keyRing: KeyRing?
  ) async throws(LaunchFailure) -> VerificationReport {
    var configuration = EmbeddedStore.Configuration(
      directory: directory, environment: environment, tables: Definition.tables)
    configuration.keyRing = keyRing
    let store = try await EmbeddedStore.opened(configuration)
    let report: Result<VerificationReport, StoreError>
    do throws(StoreError) {
      report = .success(try await store.verify(Definition.makeSweep()))
    } catch {
      report = .failure(error)
    }
    do throws(EmbeddedStoreError) {
      try await store.close()
    } catch {
      throw LaunchFailure(.unavailable, error.description)
    }
    switch report {
    case .success(let report) where report.isClean: return report
    case .success(let report):
      throw LaunchFailure(.data, report.problems.map { "The store in \(directory): \($0)." })
    case .failure(let error):
      throw LaunchFailure(.data, "The store in \(directory) cannot be read: \(error.logDescription).")
    }
  }
}
