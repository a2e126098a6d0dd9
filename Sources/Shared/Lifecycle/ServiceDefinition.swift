package import ArgumentParser
package import CivilTime
package import Identity
package import Logging
package import RPC
package import Storage

/// What makes one service process different from another; everything else is shared.
///
/// A service's `main` is a type that conforms, and `ServiceCommand<ThatType>.main()`.
package protocol ServiceDefinition: Sendable {
  /// The options that `serve` of this service has beside the common ones.
  associatedtype Options: ServeOptionGroup = NoServeOptions

  /// Of the executable and in certificates, such as `patient-service`.
  static var name: String { get }
  /// What the service is, in one line of `--help`.
  static var abstract: String { get }
  /// The tables of its store.
  static var tables: [TableSchema] { get }
  /// Compares the items of these tables with each other, for `verify`.
  static func makeSweep() -> any ItemSweep
  /// Who may call what.
  static var policy: AccessPolicy { get }
  /// A serialized `FileDescriptorSet` with everything that its services need, for reflection.
  static var fileDescriptorSet: [UInt8] { get }

  /// The services to serve, health and reflection excepted. Called once, when the store is open.
  static func makeServices(_ dependencies: ServiceDependencies) async throws -> [any RPCService]
}

/// What the runner gives to a service.
package struct ServiceDependencies: Sendable {
  package let store: any TableStore
  /// The time by which the rules of the clinic decide.
  package let clock: WallClock
  /// The zone where neither record, setting nor token names one.
  package let defaultTimeZone: TimeZoneRules
  /// To patient-service, where the configuration names it. Its lifetime is the runner's affair.
  package let patientService: (any RPCChannel)?
  package let configuration: ServeConfiguration
  package let logger: Logger
}

/// Flags of `serve` that only some services have.
package protocol ServeOptionGroup: ParsableArguments {
  /// What was given on the command line.
  var values: [Setting: String] { get }
  /// Whether they describe a connection to patient-service.
  static var dialsPatientService: Bool { get }
}

package struct NoServeOptions: ServeOptionGroup {
  package init() {}

  package var values: [Setting: String] { [:] }
  package static var dialsPatientService: Bool { false }
}

/// How appointment-service reaches patient-service.
package struct PatientServiceOptions: ServeOptionGroup {
  @Option(
    name: .customLong(Setting.patientServiceTarget.rawValue),
    help: ArgumentHelp("Where patient-service is, such as dns:localhost:7443.", valueName: "target"))
  var target: String?

  @Option(
    name: .customLong(Setting.patientServiceCA.rawValue),
    help: ArgumentHelp(
      "PEM certificates of whom we trust to name patient-service (default: --client-ca).", valueName: "file"))
  var ca: String?

  @Option(
    name: .customLong(Setting.patientServiceTokenFile.rawValue),
    help: ArgumentHelp(
      "With --plaintext: a token of `dev-token --role service`, in place of our certificate.", valueName: "file"))
  var tokenFile: String?

  package init() {}

  package var values: [Setting: String] {
    var values: [Setting: String] = [:]
    values[.patientServiceTarget] = target
    values[.patientServiceCA] = ca
    values[.patientServiceTokenFile] = tokenFile
    return values
  }

  package static var dialsPatientService: Bool { true }
}
