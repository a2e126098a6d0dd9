import Contract
import Storage
import Testing

@testable import PatientService

/// The record numbers' sentinels and the patients name each other (DESIGN 6, invariants).
@Suite struct PatientSweepTests {
  private func items() async throws -> [Item] {
    let fixture = try PatientFixture()
    _ = try await fixture.create()
    return try await fixture.store.changes(after: 0, limit: 100).flatMap(\.changes).compactMap(\.image)
  }

  private func problems(_ items: [Item]) -> [String] {
    var sweep = PatientSweep()
    for item in items { sweep.add(item, of: PatientTable.schema) }
    return sweep.problems()
  }

  private static func isSentinel(_ item: Item) -> Bool { item["id"]?.stringValue?.hasPrefix("mrn#") == true }

  @Test("what the service wrote is well")
  func well() async throws {
    #expect(problems(try await items()) == [])
  }

  @Test("a missing sentinel, a missing patient", arguments: [true, false])
  func missing(sentinel: Bool) async throws {
    let rest = try await items().filter { Self.isSentinel($0) != sentinel }
    #expect(problems(rest).count == 1)
    #expect(problems(rest).first?.contains("the sentinel of its record number differ") == true)
  }

  @Test("a sentinel of another record number")
  func otherNumber() async throws {
    let items = try await items().map { item in
      Self.isSentinel(item) ? item.merging(["id": "mrn#MRN-2020-000001"]) { $1 } : item
    }
    #expect(problems(items).first?.contains("the sentinel of its record number differ") == true)
    #expect(problems(items).allSatisfy { !$0.contains("MRN-") })
  }

  @Test("an item that is no patient")
  func unreadable() async throws {
    let items = try await items().map { item in
      Self.isSentinel(item) ? item : item.merging(["gender": "unheard of"]) { $1 }
    }
    #expect(problems(items).contains { $0.contains("does not have the form of its kind") })
  }
}
