internal import Auth
internal import CivilTime
internal import Configuration
internal import FoundationEssentials
internal import Logging
internal import Observability
internal import RPCClient

extension ServeConfiguration {
  /// Reads and validates everything.
  ///
  /// - Parameter dialsPatientService: whether the settings of the connection to patient-service belong to this service.
  /// - Throws: all faults at once.
  static func read(
    flags: [Setting: ConfigValue], environment: [String: String], configurationFile: String?, dialsPatientService: Bool
  ) throws(LaunchFailure) -> ServeConfiguration {
    var reader = SettingReader(flags: flags, environment: environment, configurationFile: configurationFile)
    let configuration = ServeConfiguration(&reader, dialsPatientService: dialsPatientService)
    guard let configuration, reader.faults.isEmpty else { throw LaunchFailure(.configuration, reader.faults) }
    return configuration
  }

  /// `nil` when something that must be there is not; `reader` then holds a fault.
  private init?(_ reader: inout SettingReader, dialsPatientService: Bool) {
    let isDevelopment = reader.flag(.development)
    let listen = reader.listenAddress()
    let tls = reader.transport(isDevelopment: isDevelopment, listen: listen)
    let keySet = reader.required(.jwks, "the file with the keys that verify tokens")
    if let keySet { reader.checkKeySet(keySet) }
    let issuer = reader.issuer(isDevelopment: isDevelopment)
    let audiences = reader.audiences(isDevelopment: isDevelopment)
    let dataDirectory = reader.required(.dataDir, "the directory of the store")
    if let dataDirectory { reader.checkDataDirectory(dataDirectory) }
    reader.checkStore()
    let storeKeys = reader.storeKeys(isRequired: !isDevelopment)
    let backupDirectory = reader.backupDirectory(of: dataDirectory, isEncrypted: storeKeys != nil)
    let snapshotInterval = reader.duration(
      .snapshotInterval, .seconds(60)...(.seconds(7 * 86_400)), "from a minute to a week, such as 1d",
      .seconds(86_400))
    let name = reader.environmentName(isDevelopment: isDevelopment)
    let zone = reader.timeZone()
    let clockFile = reader.clockFile(isDevelopment: isDevelopment)
    let grace = reader.duration(.shutdownGrace, .zero...(.seconds(3600)), "at most an hour, such as 10s", .seconds(10))
    let sweepInterval = reader.duration(
      .sweepInterval, .seconds(1)...(.seconds(86_400)), "from a second to a day, such as 5m", .seconds(300))
    let journalRetention = reader.duration(
      .journalRetention, .seconds(3600)...(.seconds(3660 * 86_400)), "from an hour to ten years, such as 35d",
      .seconds(35 * 86_400))
    let level = reader.choice(.logLevel, Logger.Level.allCases, default: .info)
    let format = reader.choice(.logFormat, LogFormat.allCases, default: .json)
    let patientService = dialsPatientService ? reader.patientService(transport: tls) : nil

    guard let listen, let tls, let keySet, let issuer, let audiences, let dataDirectory, let name,
      !dialsPatientService || patientService != nil
    else { return nil }
    self.init(
      listen: listen, tls: tls.files, keySet: keySet.text, issuer: issuer, audiences: audiences,
      dataDirectory: dataDirectory.text, storeKeys: storeKeys, backupDirectory: backupDirectory,
      snapshotInterval: snapshotInterval, environment: name, defaultTimeZone: zone,
      isDevelopment: isDevelopment, developmentClockFile: clockFile, shutdownGrace: grace,
      sweepInterval: sweepInterval, journalRetention: journalRetention, logLevel: level, logFormat: format,
      patientService: patientService)
  }
}

extension SettingReader {
  fileprivate enum Transport {
    case tls(ServeConfiguration.TLS)
    case plaintext

    var files: ServeConfiguration.TLS? { if case .tls(let files) = self { files } else { nil } }
  }

  fileprivate mutating func required(_ setting: Setting, _ meaning: String) -> Found? {
    let found = text(setting)
    if found == nil { fault("\(setting.flagName), \(meaning), is missing.") }
    return found
  }

  /// The path in `setting`, if it is a file that can be read.
  fileprivate mutating func file(_ found: Found?) -> String? {
    guard let found else { return nil }
    if let problem = FileCheck.problem(withFile: found.text) {
      fault("The file \(found.text) of \(found.origin) \(problem).")
    }
    return found.text
  }

  fileprivate mutating func choice<Value: RawRepresentable<String>>(
    _ setting: Setting, _ all: [Value], default: Value
  ) -> Value {
    guard let found = text(setting) else { return `default` }
    guard let value = Value(rawValue: found.text) else {
      fault(found, "one of \(all.map(\.rawValue).joined(separator: ", "))")
      return `default`
    }
    return value
  }

  fileprivate mutating func listenAddress() -> ListenAddress? {
    guard let found = required(.listen, "HOST:PORT or unix:/PATH to listen on") else { return nil }
    guard let address = ListenAddress(found.text) else {
      fault(found, "HOST:PORT with a port from 0 to 65535, nor unix:/PATH")
      return nil
    }
    return address
  }

  fileprivate mutating func transport(isDevelopment: Bool, listen: ListenAddress?) -> Transport? {
    let (certificate, key, clientCA) = (text(.tlsCert), text(.tlsKey), text(.clientCA))
    guard flag(.plaintext) else {
      if certificate == nil { fault("--tls-cert, the file with our certificate chain, is missing.") }
      if key == nil { fault("--tls-key, the file with the private key of our certificate, is missing.") }
      let ca = file(clientCA)
      guard let certificate = file(certificate), let key = file(key) else { return nil }
      return .tls(ServeConfiguration.TLS(certificate: certificate, key: key, clientCA: ca))
    }
    if !isDevelopment { fault("--plaintext needs --development: patients' data travels under TLS only.") }
    if let listen, !listen.isLoopback {
      fault("--plaintext needs a loopback address to listen on, and \(listen) is none.")
    }
    if certificate != nil || key != nil || clientCA != nil {
      fault("--plaintext contradicts --tls-cert, --tls-key and --client-ca.")
    }
    return .plaintext
  }

  fileprivate mutating func checkKeySet(_ found: Found) {
    if found.text.contains("://") {
      fault("The key set of \(found.origin) is a URL; this version reads key sets from files only.")
    } else {
      _ = file(found)
    }
  }

  fileprivate mutating func issuer(isDevelopment: Bool) -> String? {
    guard let found = text(.jwtIssuer) else {
      if isDevelopment { return DevTokenSigner.issuer }
      fault("--jwt-issuer, the issuer of people's tokens, is missing.")
      return nil
    }
    if !isDevelopment, found.text == DevTokenSigner.issuer {
      fault("The issuer of \(found.origin) is that of development tokens, which needs --development.")
    }
    return found.text
  }

  fileprivate mutating func audiences(isDevelopment: Bool) -> [String]? {
    guard let found = text(.jwtAudience) else {
      if isDevelopment { return [DevTokenSigner.audience] }
      fault("--jwt-audience, the client applications whose tokens are accepted, is missing.")
      return nil
    }
    let names = found.text.split(separator: ",").map { $0.filter { $0 != " " } }
    guard !names.isEmpty, !names.contains("") else {
      fault(found, "a list of client ids with commas between them")
      return nil
    }
    return names
  }

  fileprivate mutating func checkDataDirectory(_ found: Found) {
    if let problem = FileCheck.problem(withDirectory: found.text) {
      fault("The directory \(found.text) of \(found.origin) \(problem).")
    }
  }

  /// Backups are encrypted under the store's keys, and a backup in the store's own directory would share its fate.
  fileprivate mutating func backupDirectory(of dataDirectory: Found?, isEncrypted: Bool) -> String? {
    guard let found = text(.backupDir) else {
      if text(.snapshotInterval) != nil { fault("--snapshot-interval needs --backup-dir.") }
      return nil
    }
    if !isEncrypted { fault("--backup-dir needs --store-key-file: only encrypted stores have backups.") }
    if let problem = FileCheck.problem(withDirectory: found.text) {
      fault("The directory \(found.text) of \(found.origin) \(problem).")
    }
    if let dataDirectory, FileCheck.isInside(found.text, dataDirectory.text) {
      fault("The directory \(found.text) of \(found.origin) is inside the store's own, \(dataDirectory.text).")
    }
    return found.text
  }

  fileprivate mutating func checkStore() {
    guard let found = text(.store), found.text != "embedded" else { return }
    if found.text == "dynamodb" {
      fault("The store \"dynamodb\" of \(found.origin) is not built yet; this version keeps an embedded store.")
    } else {
      fault(found, "embedded or dynamodb")
    }
  }

  fileprivate mutating func environmentName(isDevelopment: Bool) -> String? {
    guard let found = text(.environment) else {
      if isDevelopment { return "dev" }
      fault("--environment, which becomes part of the tables' names, is missing.")
      return nil
    }
    let isName = found.text.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
    }
    guard isName, found.text.utf8.count <= 32 else {
      fault(found, "1 to 32 lower-case letters, digits and hyphens")
      return nil
    }
    return found.text
  }

  fileprivate mutating func timeZone() -> String {
    guard let found = text(.defaultTimeZone) else { return "UTC" }
    do throws(TimeZoneError) {
      _ = try TimeZoneDatabase.system.rules(for: found.text)
    } catch {
      if error == .unknown {
        fault(found, "the IANA name of a time zone, such as America/Toronto")
      } else {
        fault(error.description)
      }
    }
    return found.text
  }

  fileprivate mutating func clockFile(isDevelopment: Bool) -> String? {
    guard let found = text(.developmentClockFile) else { return nil }
    if !isDevelopment { fault("--development-clock-file needs --development.") }
    if case .failure(let problem) = DevelopmentClock.read(found.text) {
      fault("The clock file \(found.text) of \(found.origin) \(problem.description).")
    }
    return found.text
  }

  /// - Parameter bounds: in words, with an example.
  fileprivate mutating func duration(
    _ setting: Setting, _ range: ClosedRange<Duration>, _ bounds: String, _ default: Duration
  ) -> Duration {
    guard let found = text(setting) else { return `default` }
    guard let duration = DurationText.parse(found.text), range.contains(duration) else {
      fault(found, "a duration of \(bounds)")
      return `default`
    }
    return duration
  }

  fileprivate mutating func patientService(transport: Transport?) -> ServeConfiguration.PatientService? {
    let target = required(.patientServiceTarget, "where patient-service is, such as dns:localhost:7443")
    let (ca, token) = (text(.patientServiceCA), text(.patientServiceTokenFile))
    let config = serviceConfigFile()
    switch transport {
    case .plaintext:
      if ca != nil { fault("--plaintext contradicts --patient-service-ca.") }
      if token == nil {
        fault("--patient-service-token-file, a service's token in place of a certificate, is missing for --plaintext.")
      }
      guard let target, let token = file(token) else { return nil }
      return .init(target: target.text, ca: nil, tokenFile: token, configFile: config)
    case .tls(let files):
      if token != nil { fault("--patient-service-token-file is for --plaintext; our certificate is our identity.") }
      let authority = file(ca) ?? files.clientCA
      if authority == nil {
        fault("--patient-service-ca, whose certificates patient-service may show, is missing.")
      }
      guard let target, let authority else { return nil }
      return .init(target: target.text, ca: authority, tokenFile: nil, configFile: config)
    case nil:
      return nil
    }
  }

  /// A service config that is not valid as a whole is a fault of the configuration (WIRE W55).
  private mutating func serviceConfigFile() -> String? {
    guard let found = text(.patientServiceConfig), let file = file(found) else { return nil }
    guard FileCheck.problem(withFile: file) == nil else { return file }
    do throws(ServiceConfigError) {
      _ = try ServiceConfig(file: file)
    } catch {
      fault("The file \(file) of \(found.origin) is refused: \(error.description)")
    }
    return file
  }
}
