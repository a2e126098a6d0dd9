internal import Contract
internal import Identity
internal import Lifecycle
internal import RPC
internal import ServiceCore
internal import Storage

/// Starts `patient-service`: reads nothing, decides nothing, puts the parts together.
@main
struct PatientServiceMain: ServiceDefinition {
  static let name = "patient-service"
  static let abstract = "Keeps the clinic's patients and their portal accounts."
  static let tables = [PatientTable.schema]
  static func makeSweep() -> any ItemSweep { PatientSweep() }
  static let policy = AccessPolicy.patientService
  static var fileDescriptorSet: [UInt8] { ContractDescriptors.fileDescriptorSet }

  static func makeServices(_ dependencies: ServiceDependencies) async throws -> [any RPCService] {
    let key = try await PageTokenKey.load(from: dependencies.store, table: PatientTable.schema, errors: .patient)
    return [
      PatientServiceHandlers(
        tables: dependencies.store, clock: dependencies.clock, defaultZone: dependencies.defaultTimeZone,
        pageTokens: PageTokens(key: key))
    ]
  }

  static func main() async { await ServiceCommand<Self>.main() }
}
