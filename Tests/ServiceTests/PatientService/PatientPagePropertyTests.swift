import Contract
import EmbeddedEngine
import Foundation
import ServiceTestSupport
import StandardProtos
import Storage
import TestSupport
import Testing

@testable import PatientService

/// Keyset pages while others write (DOMAIN 7): who keeps their name is seen exactly once.
@Suite("DOMAIN 7: pages of patients under concurrent writers", .serialized)
struct PatientPagePropertyTests {
  @Test("whose name stays is listed once, in both directions", arguments: [1, 4, 7] as [Int32], [false, true])
  func pages(size: Int32, embedded: Bool) async throws {
    try await withFixture(embedded: embedded) { fixture in
      var kept: [String] = []
      for number in 10..<50 {
        kept.append(try await fixture.create(.valid { $0.lastName = "Stay \(number)" }).id)
      }
      let expected = Set(kept)
      try await withThrowingTaskGroup(of: Void.self) { group in
        defer { group.cancelAll() }
        for writer in 0..<4 as Range<UInt64> {
          group.addTask {
            var random = SeededGenerator(seed: UInt64(size) * 10 + writer)
            while !Task.isCancelled { await Self.disturb(fixture, &random) }
          }
        }
        for descending in [false, true, false] {
          let seen = try await walk(fixture, size: size, descending: descending)
          // Who is renamed meanwhile may be seen under both names, but under each once.
          #expect(Set(seen.map { "\($0.lastName)#\($0.id)" }).count == seen.count)
          #expect(seen.map(\.id).filter(expected.contains) == (descending ? kept.reversed() : kept))
        }
      }
    }
  }

  private func walk(_ fixture: PatientFixture, size: Int32, descending: Bool) async throws -> [PatientV1.Patient] {
    var request = PatientV1.ListPatientsRequest()
    request.pageSize = size
    request.showInactive = true
    request.order = descending ? .descending : .ascending
    var seen: [PatientV1.Patient] = []
    repeat {
      let page = try await fixture.handlers.listPatients(
        request, context: .forTest(by: PatientFixture.clinician, path: "/p/ListPatients"))
      seen += page.patients
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty
    return seen
  }

  /// Registers somebody among those who stay, then renames and deactivates them.
  private static func disturb(_ fixture: PatientFixture, _ random: inout SeededGenerator) async {
    func name() -> String { "Stay \(Int.random(in: 10..<50, using: &random)) again" }
    let (first, second) = (name(), name())
    guard let made = try? await fixture.create(.valid { $0.lastName = first }) else { return }
    var update = PatientV1.UpdatePatientRequest()
    update.patient = .init()
    update.patient?.id = made.id
    update.patient?.lastName = second
    _ = try? await fixture.handlers.updatePatient(update, context: .forTest(by: PatientFixture.clinician))
    var deactivate = PatientV1.DeactivatePatientRequest()
    deactivate.patientId = made.id
    _ = try? await fixture.handlers.deactivatePatient(deactivate, context: .forTest(by: PatientFixture.clinician))
  }

  private func withFixture(embedded: Bool, _ body: (PatientFixture) async throws -> Void) async throws {
    guard embedded else { return try await body(try PatientFixture(attempts: 500)) }
    let directory = FileManager.default.temporaryDirectory.path + "/patients-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let store = try await EmbeddedStore.open(
      EmbeddedStore.Configuration(directory: directory, environment: "test", tables: [PatientTable.schema]))
    do { try await body(try PatientFixture(attempts: 500, store: store)) } catch {
      try? await store.close()
      throw error
    }
    #expect(try await store.verify().problems == [])
    try await store.close()
  }
}
