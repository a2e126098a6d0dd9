import EmbeddedEngine
import Foundation
import Storage
import Testing

@testable import AppointmentService

/// The stores that a property has to hold on.
enum ClinicEngine: String, CaseIterable, CustomTestStringConvertible {
  case memory, embedded

  var testDescription: String { rawValue }

  /// Runs `body` on the service over a new, empty store. Callers who meet are given the time that a busy test needs.
  func withClinic(_ body: (Clinic) async throws -> Void) async throws {
    guard self == .embedded else { return try await body(Clinic(attempts: 500)) }
    let directory = FileManager.default.temporaryDirectory.path + "/clinic-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let store = try await EmbeddedStore.open(
      EmbeddedStore.Configuration(directory: directory, environment: "test", tables: Tables.all))
    do { try await body(Clinic(attempts: 500, store: store)) } catch {
      try? await store.close()
      throw error
    }
    #expect(try await store.verify().problems == [])
    try await store.close()
  }
}
