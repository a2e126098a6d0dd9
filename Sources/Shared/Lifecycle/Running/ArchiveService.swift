internal import CivilTime
internal import EmbeddedEngine
internal import Logging
internal import ServiceLifecycle

/// Runs the archive of the store as long as the process serves, and completes it at the end.
struct ArchiveService: Service {
  let archive: StoreArchive
  let logger: Logger

  /// Returns when the process drains, which it tells this service after those that write.
  func run() async throws {
    await cancelWhenGracefulShutdown { await archive.run() }
    do throws(ArchiveError) {
      try await archive.close()
    } catch {
      // The journal still has it, and the next start ships it.
      logger.error("the archive is not complete", metadata: ["reason": "\(error.description)"])
    }
  }
}

extension StoreArchive {
  /// Takes the archive that the configuration names, if it names one.
  ///
  /// - Throws: a sentence for the operator: who asked for backups gets no service without.
  static func opened(
    of store: EmbeddedStore, clock: WallClock, configuration: ServeConfiguration, logger: Logger
  ) async throws(LaunchFailure) -> StoreArchive? {
    guard let directory = configuration.backupDirectory else { return nil }
    let settings = StoreArchive.Configuration(
      backups: BackupDirectory(directory), retention: configuration.journalRetention,
      snapshotInterval: configuration.snapshotInterval, clock: { clock.now().microseconds }
    ) { event in
      switch event {
      case .failing(let reason): logger.critical("the archive falls behind", metadata: ["reason": "\(reason)"])
      case .recovered: logger.notice("the archive is up to date again")
      case .snapshot(let file):
        logger.info(
          "took a snapshot",
          metadata: ["file": "\(file.path)", "transaction": "\(file.sequence)", "bytes": "\(file.size)"])
      case .deleted(let count): logger.info("deleted old files of the archive", metadata: ["files": "\(count)"])
      }
    }
    do throws(ArchiveError) {
      return try await store.archive(settings)
    } catch { throw error.launchFailure }
  }
}
