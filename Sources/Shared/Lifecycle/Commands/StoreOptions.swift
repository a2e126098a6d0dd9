internal import ArgumentParser
internal import CivilTime
internal import Configuration
internal import EmbeddedEngine
internal import EncryptedStorage
internal import FoundationEssentials

/// What the commands on a store and its backups are told, and the environment variables of the same settings.
struct StoreOptions {
  private var reader: SettingReader

  init(dataDir: String? = nil, backupDir: String? = nil, environment: String? = nil, keys: StoreKeyOptions) {
    var flags = keys.values
    for (setting, text) in [(Setting.dataDir, dataDir), (.backupDir, backupDir), (.environment, environment)] {
      if let text { flags[setting] = ConfigValue(.string(text), isSecret: false) }
    }
    reader = SettingReader(flags: flags, environment: ProcessInfo.processInfo.environment, configurationFile: nil)
  }

  /// The directory of a store, which must be there: opening would make one.
  mutating func dataDirectory() throws(LaunchFailure) -> String {
    try directory(.dataDir, "the directory of the store")
  }

  mutating func optionalDataDirectory() throws(LaunchFailure) -> String? {
    reader.text(.dataDir) == nil ? nil : try dataDirectory()
  }

  /// - Parameter isMade: whether one that is not there is made.
  mutating func backups(isMade: Bool = false) throws(LaunchFailure) -> BackupDirectory {
    guard isMade, let text = reader.text(.backupDir)?.text else {
      return BackupDirectory(try directory(.backupDir, "the directory of the backups"))
    }
    return BackupDirectory(text)
  }

  mutating func optionalBackups() throws(LaunchFailure) -> BackupDirectory? {
    reader.text(.backupDir) == nil ? nil : try backups()
  }

  mutating func environmentName() -> String { reader.text(.environment)?.text ?? "dev" }

  mutating func keyRing() throws(LaunchFailure) -> KeyRing {
    guard let ring = try optionalKeyRing(isRequired: true) else {
      throw LaunchFailure(.configuration, "The store's keys are missing.")
    }
    return ring
  }

  /// `nil` for a store in clear.
  mutating func optionalKeyRing(isRequired: Bool = false) throws(LaunchFailure) -> KeyRing? {
    let source = reader.storeKeys(isRequired: isRequired)
    guard reader.faults.isEmpty else { throw LaunchFailure(.configuration, reader.faults) }
    return try source?.loaded()
  }

  private mutating func directory(_ setting: Setting, _ meaning: String) throws(LaunchFailure) -> String {
    guard let found = reader.text(setting) else {
      throw LaunchFailure(.configuration, "\(setting.flagName), \(meaning), is missing.")
    }
    guard FileManager.default.fileExists(atPath: found.text) else {
      throw LaunchFailure(.configuration, "The directory \(found.text) of \(found.origin) does not exist.")
    }
    return found.text
  }
}

extension ArchiveError {
  /// As a sentence, with instants as people write them, and the code to exit with.
  var launchFailure: LaunchFailure {
    switch self {
    case .file, .inUse, .database, .interrupted: LaunchFailure(.unavailable, description)
    case .store(let error): LaunchFailure(error.kind, description)
    case .sealed(.damaged), .otherTables: LaunchFailure(.data, description)
    case .gap(_, let committedAt, _, _):
      LaunchFailure(
        .data, "\(description) What was there until \(Instant(microseconds: committedAt)) can be restored.")
    case .tooOld(let oldest):
      LaunchFailure(
        .configuration, "\(description) The oldest state that can be restored is of \(Instant(microseconds: oldest)).")
    case .sealed, .keys, .notEncrypted, .nothing, .unknownHistory, .destinationExists:
      LaunchFailure(.configuration, description)
    }
  }
}

/// Progress on standard error, at most once a second, so that it can be piped and logged.
final class ProgressLine {
  private var last: ContinuousClock.Instant?

  func tell(_ text: @autoclosure () -> String) {
    let now = ContinuousClock.now
    if let last, now - last < .seconds(1) { return }
    last = now
    CommandOutput.error(text())
  }
}
