internal import ArgumentParser
internal import Configuration
internal import EmbeddedEngine
internal import EncryptedStorage
internal import FoundationEssentials
internal import Storage

/// Checks the store of a service that does not run: structure, checksums, indexes and journal, and the service's items
/// against each other.
struct VerifyCommand<Definition: ServiceDefinition>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "verify", abstract: "Check the store of this service, which must not be running.",
      discussion: "Exits with 0 if all is well, with 65 and one line for each problem if not.")
  }

  @Option(help: ArgumentHelp("The directory of the store; also CLINICAVOICE_DATA_DIR.", valueName: "directory"))
  var dataDir: String?

  @Option(
    help: ArgumentHelp("Part of the tables' names; also CLINICAVOICE_ENVIRONMENT (default: dev).", valueName: "name"))
  var environment: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  func run() async throws {
    do throws(LaunchFailure) {
      let report = try await verify()
      CommandOutput.line("\(report.items) items and \(report.transactions) journal records: all is well.")
    } catch {
      throw error.report()
    }
  }

  private func verify() async throws(LaunchFailure) -> VerificationReport {
    var flags = storeKeys.values
    if let dataDir { flags[.dataDir] = ConfigValue(.string(dataDir), isSecret: false) }
    if let environment { flags[.environment] = ConfigValue(.string(environment), isSecret: false) }
    var reader = SettingReader(
      flags: flags, environment: ProcessInfo.processInfo.environment, configurationFile: nil)
    guard let directory = reader.text(.dataDir)?.text else {
      throw LaunchFailure(.configuration, "--data-dir, the directory of the store, is missing.")
    }
    // Opening would make a store where there is none.
    guard FileManager.default.fileExists(atPath: directory) else {
      throw LaunchFailure(.configuration, "The directory \(directory) of --data-dir does not exist.")
    }
    let keys = reader.storeKeys(isRequired: false)
    guard reader.faults.isEmpty else { throw LaunchFailure(.configuration, reader.faults) }
    var configuration = EmbeddedStore.Configuration(
      directory: directory, environment: reader.text(.environment)?.text ?? "dev", tables: Definition.tables)
    if let keys { configuration.keyRing = try keys.loaded() }
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
