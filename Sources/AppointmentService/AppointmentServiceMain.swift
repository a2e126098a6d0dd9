internal import CivilTime
internal import Contract
internal import Identity
internal import Lifecycle
internal import RPC
internal import ServiceCore
internal import Storage

/// Starts `appointment-service`: reads nothing, decides nothing, puts the parts together.
@main
enum AppointmentServiceMain {
  static func main() async { await ServiceCommand<AppointmentServiceDefinition>.main() }
}

/// What makes a process the appointment service.
struct AppointmentServiceDefinition: ServiceDefinition {
  typealias Options = PatientServiceOptions

  static let name = "appointment-service"
  static let abstract = "Appointments and time blocks of clinicians."
  static var tables: [TableSchema] { Tables.all }
  static func makeSweep() -> any ItemSweep { ScheduleSweep() }
  static var policy: AccessPolicy { .appointmentService }
  static var fileDescriptorSet: [UInt8] { ContractDescriptors.fileDescriptorSet }

  static func makeServices(_ dependencies: ServiceDependencies) async throws -> [any RPCService] {
    guard let patientService = dependencies.patientService else {
      throw LaunchFailure(.configuration, "--patient-service-target, where patient-service is, is missing.")
    }
    dependencies.logger.info("time zones", metadata: ["tzdata": "\(TimeZoneDatabase.system.version)"])
    let key = try await PageTokenKey.load(from: dependencies.store, table: Tables.appointments, errors: .appointment)
    let pageTokens = PageTokens(key: key)
    let appointments = AppointmentHandlers.assembled(
      tables: dependencies.store, patients: RPCPatientDirectory(channel: patientService), pageTokens: pageTokens,
      clock: dependencies.clock, defaultTimeZone: dependencies.defaultTimeZone.id)
    return [appointments, TimeBlockHandlers(appointments, pageTokens: pageTokens)]
  }
}
