import Foundation
import Identity
import RPC
import Testing

@Suite("Access policies")
struct AccessPolicyTests {
  private static let proto = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../../proto").standardizedFileURL

  /// The method paths that the proto files under `folders` declare, by their text.
  private func declaredPaths(in folders: [String]) throws -> Set<String> {
    var paths: Set<String> = []
    for folder in folders {
      let directory = Self.proto.appending(path: folder)
      for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) where name.hasSuffix(".proto") {
        let text = try String(contentsOf: directory.appending(path: name), encoding: .utf8)
        guard let package = text.firstMatch(of: /(?m)^package\s+([\w.]+);/)?.1 else { continue }
        for service in text.matches(of: /(?ms)^service\s+(\w+)\s*\{(.*?)^\}/) {
          for method in service.2.matches(of: /\brpc\s+(\w+)\s*\(/) {
            paths.insert("/\(package).\(service.1)/\(method.1)")
          }
        }
      }
    }
    return paths
  }

  private static let infrastructure = ["grpc/health/v1", "grpc/reflection/v1", "grpc/reflection/v1alpha"]

  @Test("patient-service has an entry for every RPC of the contract, and no other")
  func patientServiceComplete() throws {
    let declared = try declaredPaths(in: ["clinicavoice/patient/v1"] + Self.infrastructure)
    #expect(Set(AccessPolicy.patientService.rules.keys) == declared)
    #expect(declared.count == 18 + 5)
  }

  @Test("appointment-service has an entry for every RPC of the contract, and no other")
  func appointmentServiceComplete() throws {
    let declared = try declaredPaths(in: ["clinicavoice/appointment/v1"] + Self.infrastructure)
    #expect(Set(AccessPolicy.appointmentService.rules.keys) == declared)
    #expect(declared.count == 19 + 5 + 5)
  }

  private func mayCall(_ policy: AccessPolicy, _ path: String, _ role: Principal.Role, id: String = "someone") -> Bool {
    (try? policy.authorize(Principal(id: id, role: role), path: path)) != nil
  }

  // The table of DOMAIN 1, once more by hand: c clinician, d delegate, p patient, s service.
  @Test(
    "roles of patient-service are those of DOMAIN 1",
    arguments: [
      ("CreatePatient", "cd"), ("GetPatient", "cdps"), ("GetPatientByMrn", "cd"), ("BatchGetPatients", "cds"),
      ("ListPatients", "cd"), ("SearchPatients", "cd"), ("UpdatePatient", "cd"), ("DeactivatePatient", "cd"),
      ("ReactivatePatient", "cd"), ("SendInvitation", "cd"), ("DeactivateAccount", "cd"), ("ActivateAccount", "cdps"),
      ("RecordLogin", "s"), ("ValidatePatientReferences", "s"), ("ResolvePatientIdentity", "ps"),
      ("WatchPatients", "cds"), ("ExportPatients", "cds"), ("ImportPatients", "s"),
    ])
  func patientRoles(method: String, allowed: String) {
    let path = "/clinicavoice.patient.v1.PatientService/\(method)"
    for role in Principal.Role.allCases {
      #expect(mayCall(.patientService, path, role) == allowed.contains(role.rawValue.prefix(1)), "\(role)")
    }
  }

  @Test(
    "roles of appointment-service are those of DOMAIN 1",
    arguments: [
      ("AppointmentService/CreateAppointment", "cd"), ("AppointmentService/GetAppointment", "cdps"),
      ("AppointmentService/ListAppointments", "cdps"), ("AppointmentService/BatchGetAppointments", "cds"),
      ("AppointmentService/UpdateAppointmentStatus", "cd"), ("AppointmentService/FindOrphans", "cds"),
      ("AppointmentService/WatchAppointments", "cds"), ("AppointmentService/ExportAppointments", "cds"),
      ("AppointmentService/ImportAppointments", "s"), ("AppointmentService/SearchAvailability", "cd"),
      ("TimeBlockService/CreateTimeBlock", "cd"), ("TimeBlockService/ListTimeBlocks", "cd"),
    ])
  func appointmentRoles(method: String, allowed: String) {
    for role in Principal.Role.allCases {
      let isAllowed = mayCall(.appointmentService, "/clinicavoice.appointment.v1.\(method)", role)
      #expect(isAllowed == allowed.contains(role.rawValue.prefix(1)), "\(role)")
    }
  }

  @Test("appointment-service may call three RPCs of patient-service and no other")
  func serviceLimit() {
    let paths = AccessPolicy.patientService.rules.filter { $0.value != .open }.keys
    let allowed = paths.filter { mayCall(.patientService, $0, .service, id: "appointment-service") }
    #expect(
      Set(allowed) == [
        "/clinicavoice.patient.v1.PatientService/ValidatePatientReferences",
        "/clinicavoice.patient.v1.PatientService/BatchGetPatients",
        "/clinicavoice.patient.v1.PatientService/ResolvePatientIdentity",
      ])
  }

  @Test("a path without an entry is closed to everybody", arguments: Principal.Role.allCases)
  func noEntry(role: Principal.Role) {
    #expect(!mayCall(.patientService, "/clinicavoice.patient.v1.PatientService/DropPatients", role))
    let services = [ServiceDescriptor(name: "a.B", file: "b.proto", methods: ["C"])]
    #expect(AccessPolicy.patientService.missingEntries(for: services) == ["/a.B/C"])
  }
}
