package import EncryptedStorage
package import Logging
package import Observability

/// Everything that `serve` was told: one value, validated whole. It holds names of files, never a secret.
package struct ServeConfiguration: Sendable, Hashable {
  /// Certificate and keys of the listener. They are our identity towards a peer service as well.
  package struct TLS: Sendable, Hashable {
    package var certificate: String
    package var key: String
    /// Whose certificates identify services; without it nobody can call as a service.
    package var clientCA: String?
  }

  /// How appointment-service reaches patient-service.
  package struct PatientService: Sendable, Hashable {
    /// Such as `dns:patients.internal:7443`.
    package var target: String
    /// Whose certificates patient-service may show; `nil` in plaintext.
    package var ca: String?
    /// In plaintext: the file with a service's token, which takes the place of our certificate.
    package var tokenFile: String?
    /// The file with the service config of our calls, in gRPC's JSON; `nil`: none.
    package var configFile: String?
  }

  package var listen: ListenAddress
  /// `nil` for plaintext, which only development has.
  package var tls: TLS?
  package var keySet: String
  package var issuer: String
  package var audiences: [String]
  package var dataDirectory: String
  /// Where the keys come from that the store is encrypted under; `nil`, in clear, is for development only.
  package var storeKeys: KeySource?
  /// Where the store is archived; `nil`: it is not.
  package var backupDirectory: String?
  /// The time between two snapshots of the archive.
  package var snapshotInterval: Duration
  /// Part of the tables' names.
  package var environment: String
  package var defaultTimeZone: String
  package var isDevelopment: Bool
  package var developmentClockFile: String?
  /// How long calls under way may take to finish after a signal.
  package var shutdownGrace: Duration
  /// How long the store rests between two rounds of deleting what has expired.
  package var sweepInterval: Duration
  /// How long the journal of changes is kept: feeds can be resumed, and the store recovered, as far back.
  package var journalRetention: Duration
  package var logLevel: Logger.Level
  package var logFormat: LogFormat
  /// Only where the service calls patient-service.
  package var patientService: PatientService?
}

extension ServeConfiguration {
  /// The settings that are in force, in the order of ``Setting``: what a configuration file would say.
  package var settings: [(setting: Setting, value: SettingValue)] {
    Setting.allCases.compactMap { setting in value(of: setting).map { (setting, $0) } }
  }

  private func value(of setting: Setting) -> SettingValue? {
    switch setting {
    case .listen: .text(listen.description)
    case .tlsCert: .text(tls?.certificate)
    case .tlsKey: .text(tls?.key)
    case .clientCA: .text(tls?.clientCA)
    case .jwks: .text(keySet)
    case .jwtIssuer: .text(issuer)
    case .jwtAudience: .text(audiences.joined(separator: ","))
    case .dataDir: .text(dataDirectory)
    case .store: .text("embedded")
    case .storeKeyFile: if case .file(let path) = storeKeys { .text(path) } else { nil }
    case .storeKeyVariable: if case .environment(let name) = storeKeys { .text(name) } else { nil }
    case .storeKeyCommand: if case .command(let words) = storeKeys { .text(words.joined(separator: " ")) } else { nil }
    case .backupDir: .text(backupDirectory)
    case .snapshotInterval: backupDirectory == nil ? nil : .text(DurationText.format(snapshotInterval))
    case .environment: .text(environment)
    case .defaultTimeZone: .text(defaultTimeZone)
    case .development: .flag(isDevelopment)
    case .plaintext: .flag(tls == nil)
    case .developmentClockFile: .text(developmentClockFile)
    case .shutdownGrace: .text(DurationText.format(shutdownGrace))
    case .sweepInterval: .text(DurationText.format(sweepInterval))
    case .journalRetention: .text(DurationText.format(journalRetention))
    case .logLevel: .text(logLevel.rawValue)
    case .logFormat: .text(logFormat.rawValue)
    case .patientServiceTarget: .text(patientService?.target)
    case .patientServiceCA: .text(patientService?.ca)
    case .patientServiceTokenFile: .text(patientService?.tokenFile)
    case .patientServiceConfig: .text(patientService?.configFile)
    }
  }

  /// The settings as a configuration file.
  package var json: String {
    let members = settings.map { setting, value in "  \(JSONText.quoted(setting.rawValue)): \(value.json)" }
    return "{\n\(members.joined(separator: ",\n"))\n}"
  }
}

/// The value of a setting.
package enum SettingValue: Sendable, Hashable {
  case text(String)
  case flag(Bool)

  static func text(_ text: String?) -> SettingValue? { text.map { SettingValue.text($0) } }

  var description: String {
    switch self {
    case .text(let text): text
    case .flag(let isOn): isOn ? "true" : "false"
    }
  }

  var json: String {
    switch self {
    case .text(let text): JSONText.quoted(text)
    case .flag(let isOn): isOn ? "true" : "false"
    }
  }
}
