import Configuration
import EncryptedStorage
import Foundation
import Testing

@testable import Lifecycle

@Suite("Configuration of serve")
struct ConfigurationTests {
  /// Files that are there, and the flags of a production service that name them.
  final class Files: Sendable {
    let directory: URL

    init() throws {
      directory = FileManager.default.temporaryDirectory.appending(path: "clinicavoice-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      for name in ["cert.pem", "key.pem", "ca.pem", "jwks.json", "store.key"] { try write("x", to: name) }
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func path(_ name: String) -> String { directory.appending(path: name).path }

    @discardableResult func write(_ text: String, to name: String) throws -> String {
      try text.write(toFile: path(name), atomically: true, encoding: .utf8)
      return path(name)
    }

    var production: [Setting: String] {
      [
        .listen: "0.0.0.0:7443", .tlsCert: path("cert.pem"), .tlsKey: path("key.pem"), .clientCA: path("ca.pem"),
        .jwks: path("jwks.json"), .jwtIssuer: "https://issuer.example", .jwtAudience: "portal,jobs",
        .dataDir: path("data"), .storeKeyFile: path("store.key"), .environment: "prod",
      ]
    }

    var development: [Setting: String] {
      [
        .listen: "127.0.0.1:0", .jwks: path("jwks.json"), .dataDir: path("data"), .development: "true",
        .plaintext: "true",
      ]
    }
  }

  private func read(
    _ flags: [Setting: String], environment: [String: String] = [:], file: String? = nil,
    dialsPatientService: Bool = false
  ) throws(LaunchFailure) -> ServeConfiguration {
    let values = flags.mapValues {
      $0 == "true" ? ConfigValue(.bool(true), isSecret: false) : ConfigValue(.string($0), isSecret: false)
    }
    return try ServeConfiguration.read(
      flags: values, environment: environment, configurationFile: file, dialsPatientService: dialsPatientService)
  }

  private func faults(
    _ flags: [Setting: String], environment: [String: String] = [:], file: String? = nil,
    dialsPatientService: Bool = false
  ) -> [String] {
    do {
      _ = try read(flags, environment: environment, file: file, dialsPatientService: dialsPatientService)
      return []
    } catch {
      return error.sentences
    }
  }

  @Test("a whole production configuration")
  func production() throws {
    let files = try Files()
    let configuration = try read(files.production)
    #expect(configuration.listen == ListenAddress(host: "0.0.0.0", port: 7443))
    #expect(configuration.tls?.clientCA == files.path("ca.pem"))
    #expect(configuration.audiences == ["portal", "jobs"])
    #expect(configuration.defaultTimeZone == "UTC")
    #expect(configuration.shutdownGrace == .seconds(10))
    #expect(!configuration.isDevelopment)
  }

  @Test("development needs little")
  func development() throws {
    let files = try Files()
    let configuration = try read(files.development)
    #expect(configuration.tls == nil)
    #expect(configuration.environment == "dev")
    #expect(configuration.issuer == "https://tokens.clinicavoice.invalid/development")
  }

  @Test("a flag wins over the environment, and that over the file")
  func precedence() throws {
    let files = try Files()
    let file = try files.write(
      #"{"environment": "file", "default-time-zone": "Europe/Madrid", "log-level": "debug", "development": true}"#,
      to: "settings.json")
    var flags = files.production
    let environment = ["CLINICAVOICE_ENVIRONMENT": "env", "CLINICAVOICE_DEFAULT_TIME_ZONE": "America/Bogota"]
    var configuration = try read(flags, environment: environment, file: file)
    #expect(configuration.environment == "prod")
    #expect(configuration.defaultTimeZone == "America/Bogota")
    #expect(configuration.logLevel == .debug)
    #expect(configuration.isDevelopment)
    flags[.environment] = nil
    configuration = try read(flags, environment: environment, file: file)
    #expect(configuration.environment == "env")
    configuration = try read(flags, environment: ["CLINICAVOICE_ENVIRONMENT": "", "CLINICAVOICE_CONFIG": file])
    #expect(configuration.environment == "file")
  }

  @Test("true in the environment switches a flag on")
  func environmentFlag() throws {
    let files = try Files()
    var flags = files.development
    flags[.development] = nil
    flags[.plaintext] = nil
    let configuration = try read(
      flags, environment: ["CLINICAVOICE_DEVELOPMENT": "true", "CLINICAVOICE_PLAINTEXT": "true"])
    #expect(configuration.isDevelopment && configuration.tls == nil)
  }

  @Test("what is printed can be read back as a file")
  func printed() throws {
    let files = try Files()
    var flags = files.production
    flags[.patientServiceTarget] = "dns:localhost:7443"
    let configuration = try read(flags, dialsPatientService: true)
    let file = try files.write(configuration.json, to: "printed.json")
    #expect(try read([:], file: file, dialsPatientService: true) == configuration)
  }

  @Test("the store's keys come from one place")
  func storeKeys() throws {
    let files = try Files()
    var flags = files.production
    flags[.storeKeyVariable] = "STORE_KEYS"
    #expect(
      faults(flags) == [
        "--store-key-file contradicts --store-key-variable: the store's keys come from one place."
      ])
    flags[.storeKeyFile] = nil
    #expect(try read(flags).storeKeys == .environment("STORE_KEYS"))
    flags[.storeKeyVariable] = nil
    flags[.storeKeyCommand] = "kms decrypt store"
    #expect(try read(flags).storeKeys == .command(["kms", "decrypt", "store"]))
  }

  @Test("nothing at all names everything that is missing, at once")
  func nothing() {
    #expect(
      faults([:], dialsPatientService: true) == [
        "--listen, HOST:PORT or unix:/PATH to listen on, is missing.",
        "--tls-cert, the file with our certificate chain, is missing.",
        "--tls-key, the file with the private key of our certificate, is missing.",
        "--jwks, the file with the keys that verify tokens, is missing.",
        "--jwt-issuer, the issuer of people's tokens, is missing.",
        "--jwt-audience, the client applications whose tokens are accepted, is missing.",
        "--data-dir, the directory of the store, is missing.",
        "--store-key-file, the file with the keys that the store is encrypted under, is missing.",
        "--environment, which becomes part of the tables' names, is missing.",
        "--patient-service-target, where patient-service is, such as dns:localhost:7443, is missing.",
      ])
  }

  @Test(
    "each fault is one sentence that names the setting and the value",
    arguments: [
      (Setting.listen, "7443", "The value \"7443\" of --listen is not HOST:PORT with a port from 0 to 65535, nor unix:/PATH."),
      (.tlsCert, "/nothing-here", "The file /nothing-here of --tls-cert does not exist."),
      (.tlsKey, "/tmp", "The file /tmp of --tls-key is a directory."),
      (.clientCA, "/nothing-here", "The file /nothing-here of --client-ca does not exist."),
      (.jwks, "/nothing-here", "The file /nothing-here of --jwks does not exist."),
      (.jwks, "https://x/jwks", "The key set of --jwks is a URL; this version reads key sets from files only."),
      (
        .dataDir, "/etc/passwd/data",
        "The directory /etc/passwd/data of --data-dir cannot be made, since /etc/passwd is not a directory."
      ),
      (.dataDir, "/etc/passwd", "The directory /etc/passwd of --data-dir is not a directory."),
      (
        .store, "dynamodb",
        "The store \"dynamodb\" of --store is not built yet; this version keeps an embedded store."
      ),
      (.store, "paper", "The value \"paper\" of --store is not embedded or dynamodb."),
      (
        .environment, "Prod!",
        "The value \"Prod!\" of --environment is not 1 to 32 lower-case letters, digits and hyphens."
      ),
      (
        .defaultTimeZone, "GMT+5",
        "The value \"GMT+5\" of --default-time-zone is not the IANA name of a time zone, such as America/Toronto."
      ),
      (
        .shutdownGrace, "61m",
        "The value \"61m\" of --shutdown-grace is not a duration of at most an hour, such as 10s."
      ),
      (
        .logLevel, "loud",
        "The value \"loud\" of --log-level is not one of trace, debug, info, notice, warning, error, critical."
      ),
      (.logFormat, "xml", "The value \"xml\" of --log-format is not one of json, logfmt."),
      (.jwtAudience, ",", "The value \",\" of --jwt-audience is not a list of client ids with commas between them."),
      (
        .jwtIssuer, "https://tokens.clinicavoice.invalid/development",
        "The issuer of --jwt-issuer is that of development tokens, which needs --development."
      ),
      (.developmentClockFile, "/nothing-here", "--development-clock-file needs --development."),
      (
        .plaintext, "true",
        "--plaintext needs --development: patients' data travels under TLS only."
      ),
    ])
  func fault(setting: Setting, value: String, sentence: String) throws {
    let files = try Files()
    var flags = files.production
    flags[setting] = value
    #expect(faults(flags).contains(sentence))
    #expect(faults(flags).count == (setting == .plaintext ? 3 : 1))
  }

  @Test(
    "plaintext stays on loopback", arguments: ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "127.example:1", "127.0.0.256:1"])
  func plaintextElsewhere(address: String) throws {
    var flags = try Files().development
    flags[.listen] = address
    #expect(
      faults(flags).contains("--plaintext needs a loopback address to listen on, and \(address) is none."))
  }

  @Test("the clock file must make sense at the start")
  func clockFile() throws {
    let files = try Files()
    var flags = files.development
    flags[.developmentClockFile] = try files.write("tomorrow", to: "clock")
    #expect(
      faults(flags) == [
        "The clock file \(files.path("clock")) of --development-clock-file holds neither an RFC 3339 instant nor an "
          + "offset such as +7d."
      ])
  }

  @Test(
    "a configuration file is refused whole",
    arguments: [
      ("[]", "is not a JSON object."), ("{", "is not a JSON object."),
      (#"{"tls_cert": "x", "Listen": "y"}"#, "has members that are no settings: \"Listen\", \"tls_cert\"."),
    ])
  func badFile(content: String, sentence: String) throws {
    let files = try Files()
    let file = try files.write(content, to: "settings.json")
    #expect(faults(files.production, file: file) == ["The configuration file \(file) \(sentence)"])
  }

  @Test("a member of the wrong kind is named")
  func wrongKind() throws {
    let files = try Files()
    let file = try files.write(#"{"log-level": true, "development": "maybe"}"#, to: "settings.json")
    #expect(
      faults(files.production, file: file) == [
        "The value of \"development\" in \(file) is not true or false.",
        "The value of \"log-level\" in \(file) is not a string.",
      ])
  }

  @Test("without TLS a token is the identity towards patient-service")
  func plaintextPeer() throws {
    let files = try Files()
    var flags = files.development
    flags[.patientServiceTarget] = "ipv4:127.0.0.1:1"
    #expect(
      faults(flags, dialsPatientService: true) == [
        "--patient-service-token-file, a service's token in place of a certificate, is missing for --plaintext."
      ])
    flags[.patientServiceTokenFile] = try files.write("token", to: "service.jwt")
    #expect(try read(flags, dialsPatientService: true).patientService?.tokenFile == files.path("service.jwt"))
  }
}
