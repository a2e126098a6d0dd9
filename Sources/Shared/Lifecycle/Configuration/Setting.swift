/// The settings of `serve`, by their names: flag `--<name>`, environment `CLINICAVOICE_<NAME>`, and member of the
/// configuration file. Source: DESIGN 2.
package enum Setting: String, Sendable, Hashable, CaseIterable {
  case listen
  case tlsCert = "tls-cert"
  case tlsKey = "tls-key"
  case clientCA = "client-ca"
  case jwks
  case jwtIssuer = "jwt-issuer"
  case jwtAudience = "jwt-audience"
  case dataDir = "data-dir"
  case store
  case storeKeyFile = "store-key-file"
  case storeKeyVariable = "store-key-variable"
  case storeKeyCommand = "store-key-command"
  case backupDir = "backup-dir"
  case snapshotInterval = "snapshot-interval"
  case environment
  case defaultTimeZone = "default-time-zone"
  case development
  case plaintext
  case developmentClockFile = "development-clock-file"
  case shutdownGrace = "shutdown-grace"
  case sweepInterval = "sweep-interval"
  case journalRetention = "journal-retention"
  case logLevel = "log-level"
  case logFormat = "log-format"
  case patientServiceTarget = "patient-service-target"
  case patientServiceCA = "patient-service-ca"
  case patientServiceTokenFile = "patient-service-token-file"
  case patientServiceConfig = "patient-service-config"

  var flagName: String { "--\(rawValue)" }
  var environmentName: String { "CLINICAVOICE_\(rawValue.uppercased().replacing("-", with: "_"))" }
}
