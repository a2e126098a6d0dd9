internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

@testable internal import EmbeddedEngine

/// Linux lets a process go on writing to files that nobody will find again.
@Suite("Files that are lost while a store is open") struct LostFileTests {
  private let fixture = StoreFixture()

  private func put(_ id: String, in store: EmbeddedStore) async throws {
    try await store.transact([StoreFixture.put(StoreFixture.patient(id))])
  }

  private func withStore(_ body: (EmbeddedStore) async throws -> Void) async throws {
    var text = Array("1:\(String(repeating: "7a", count: 32))".utf8)
    try await fixture.withStore(keyRing: KeyRing(parsing: &text), body)
  }

  @Test(
    "nothing is acknowledged that would go with them, and the store goes on once they are back",
    arguments: ["", "-wal"])
  func moved(suffix: String) async throws {
    let path = fixture.directory + "/store.sqlite" + suffix
    try await withStore { store in
      try await put("before", in: store)
      try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
      await #expect(throws: StoreError.unavailable("the store's files were moved or deleted")) {
        try await put("refused", in: store)
      }
      #expect(store.status == .suspended("the store's files were moved or deleted"))
      let found = try await store.get(StoreFixture.key("before"), from: StoreFixture.table)
      #expect(found != nil)
      try FileManager.default.moveItem(atPath: path + ".moved", toPath: path)
      try await put("after", in: store)
      #expect(store.status == .serving)
    }
    try await withStore { store in
      let kept = try await store.batchGet(
        ["before", "refused", "after"].map(StoreFixture.key), from: StoreFixture.table)
      #expect(kept == ["before", "after"].map { StoreFixture.patient($0) })
      let report = try await store.verify()
      #expect(report.problems == [])
    }
  }

  @Test("behind a place where the log was cut nothing is acknowledged, and the store has failed")
  func cutLog() async throws {
    try? await withStore { store in
      try await put("before", in: store)
      #expect(truncate(fixture.directory + "/store.sqlite-wal", 4096) == 0)
      await #expect(throws: StoreError.self) { try await put("refused", in: store) }
      guard case .failed = store.status else {
        Issue.record("\(store.status)")
        return
      }
    }
  }
}
