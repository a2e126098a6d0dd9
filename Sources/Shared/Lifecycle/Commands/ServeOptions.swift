internal import ArgumentParser
internal import Configuration

/// The flags of `serve` that every service has. Each may also stand in the environment or the configuration file.
struct ServeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where to listen: HOST:PORT, or unix:/PATH.", valueName: "address"))
  var listen: String?

  @Option(help: ArgumentHelp("Our certificate chain, PEM.", valueName: "file"))
  var tlsCert: String?

  @Option(help: ArgumentHelp("The private key of our certificate, PEM.", valueName: "file"))
  var tlsKey: String?

  @Option(
    name: .customLong(Setting.clientCA.rawValue),
    help: ArgumentHelp("Whose certificates identify services that call, PEM.", valueName: "file"))
  var clientCA: String?

  @Option(help: ArgumentHelp("The JSON Web Key Set that verifies people's tokens.", valueName: "file"))
  var jwks: String?

  @Option(help: ArgumentHelp("The issuer of people's tokens.", valueName: "url"))
  var jwtIssuer: String?

  @Option(help: ArgumentHelp("The client ids whose tokens are accepted, with commas.", valueName: "ids"))
  var jwtAudience: String?

  @Option(help: ArgumentHelp("The directory of the store; made if it is not there.", valueName: "directory"))
  var dataDir: String?

  @Option(help: ArgumentHelp("Which store: embedded (default) or dynamodb (not built yet).", valueName: "kind"))
  var store: String?

  @OptionGroup
  var storeKeys: StoreKeyOptions

  @Option(
    help: ArgumentHelp(
      "Where the store is archived, encrypted, so that it can be restored to any instant; none: it is not.",
      valueName: "directory"))
  var backupDir: String?

  @Option(
    help: ArgumentHelp("The time between two snapshots in --backup-dir (default: 1d).", valueName: "duration"))
  var snapshotInterval: String?

  @Option(help: ArgumentHelp("Part of the tables' names (in development: dev).", valueName: "name"))
  var environment: String?

  @Option(help: ArgumentHelp("The IANA zone where nothing else names one (default: UTC).", valueName: "zone"))
  var defaultTimeZone: String?

  @Flag(help: "Allow what production refuses: local tokens, --plaintext, --development-clock-file.")
  var development = false

  @Flag(help: "In development, on a loopback address: no TLS.")
  var plaintext = false

  @Option(
    help: ArgumentHelp(
      "In development: a file with an RFC 3339 instant or an offset such as +7d, read at each use of the clock.",
      valueName: "file"))
  var developmentClockFile: String?

  @Option(help: ArgumentHelp("How long calls may take to finish after SIGTERM (default: 10s).", valueName: "duration"))
  var shutdownGrace: String?

  @Option(
    help: ArgumentHelp(
      "The rest between two rounds of deleting expired internal items (default: 5m).", valueName: "duration"))
  var sweepInterval: String?

  @Option(
    help: ArgumentHelp(
      "How long the journal of changes is kept, and how far back feeds can be resumed and the store restored (default: 35d).",
      valueName: "duration"))
  var journalRetention: String?

  @Option(
    help: ArgumentHelp("trace, debug, info (default), notice, warning, error or critical.", valueName: "level"))
  var logLevel: String?

  @Option(help: ArgumentHelp("json (default) or logfmt.", valueName: "format"))
  var logFormat: String?

  @Option(
    help: ArgumentHelp("A JSON file with any of these settings; also CLINICAVOICE_CONFIG.", valueName: "file"))
  var config: String?

  @Flag(help: "Print the settings in force as a configuration file, and exit.")
  var printConfiguration = false

  /// What was given on the command line.
  var values: [Setting: ConfigValue] {
    let texts: [(Setting, String?)] = [
      (.listen, listen), (.tlsCert, tlsCert), (.tlsKey, tlsKey), (.clientCA, clientCA), (.jwks, jwks),
      (.jwtIssuer, jwtIssuer), (.jwtAudience, jwtAudience), (.dataDir, dataDir), (.store, store),
      (.backupDir, backupDir), (.snapshotInterval, snapshotInterval), (.environment, environment),
      (.defaultTimeZone, defaultTimeZone),
      (.developmentClockFile, developmentClockFile), (.shutdownGrace, shutdownGrace), (.sweepInterval, sweepInterval),
      (.journalRetention, journalRetention), (.logLevel, logLevel), (.logFormat, logFormat),
    ]
    var values: [Setting: ConfigValue] = [:]
    for case (let setting, let text?) in texts { values[setting] = ConfigValue(.string(text), isSecret: false) }
    values.merge(storeKeys.values) { _, new in new }
    if development { values[.development] = true }
    if plaintext { values[.plaintext] = true }
    return values
  }
}
