internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

@Suite("The embedded store under keys")
struct EncryptionTests {
  private let fixture = StoreFixture()

  private func ring(_ ids: Int...) throws -> KeyRing {
    var text = Array(ids.map { "\($0):" + String(repeating: "7\($0)", count: 32) }.joined(separator: "\n").utf8)
    return try KeyRing(parsing: &text)
  }

  private func refusal(_ keyRing: KeyRing?) async throws -> EmbeddedStoreError {
    try await #require(throws: EmbeddedStoreError.self) { try await fixture.withStore(keyRing: keyRing) { _ in } }
  }

  @Test("holds nothing in clear while it is open and when it is closed")
  func nothingInClear() async throws {
    func expectNothing() throws {
      for name in try FileManager.default.contentsOfDirectory(atPath: fixture.directory) {
        let data = try Data(contentsOf: URL(fileURLWithPath: fixture.directory + "/" + name))
        for word in ["Lovelace", "MRN-815", "patients", "CREATE TABLE"] {
          #expect(data.range(of: Data(word.utf8)) == nil, "\(word) in \(name)")
        }
      }
    }
    try await fixture.withStore(keyRing: ring(1)) { store in
      let item = StoreFixture.patient("p1", ["name": "Lovelace", "mrn": "MRN-815"])
      try await store.transact([StoreFixture.put(item)])
      try expectNothing()
    }
    try expectNothing()
    try await fixture.withStore(keyRing: ring(1)) { store in
      let found = try await store.get(StoreFixture.key("p1"), from: StoreFixture.table)
      #expect(found?["name"] == "Lovelace")
    }
  }

  @Test("refuses to open under another ring or none, in one sentence, and opens under its own afterwards")
  func otherKeys() async throws {
    try await fixture.withStore(keyRing: ring(1)) {
      try await $0.transact([StoreFixture.put(StoreFixture.patient("p1"))])
    }
    let path = fixture.directory + "/store.sqlite"
    #expect(try await refusal(ring(2)) == .keys(.unknownKey(id: 1, path: path)))
    #expect(try await refusal(nil).description.contains("encrypted and no keys are given"))
    try await fixture.withStore(keyRing: ring(1, 2)) { store in
      let found = try await store.get(StoreFixture.key("p1"), from: StoreFixture.table)
      #expect(found != nil)
    }
  }

  @Test("a plain store is not opened with keys")
  func plainStore() async throws {
    try await fixture.withStore { _ in }
    #expect(try await refusal(ring(1)) == .keys(.notEncrypted(path: fixture.directory + "/store.sqlite")))
    try await fixture.withStore { store in
      _ = await #expect(throws: EncryptedStorageError.self) { try await store.rekey() }
    }
  }

  @Test("a page that does not authenticate is lost data for what it touches, and the store serves the rest")
  func damagedPage() async throws {
    try await fixture.withStore(keyRing: ring(1)) { store in
      for batch in 0..<40 {
        try await store.transact((0..<20).map { StoreFixture.put(StoreFixture.patient("p\(batch * 20 + $0)")) })
      }
    }
    let path = fixture.directory + "/store.sqlite"
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    let pages = data.count / 4096
    for page in pages / 3..<pages / 2 { data[page * 4096 + 9] ^= 1 }
    try data.write(to: URL(fileURLWithPath: path))
    try await fixture.withStore(keyRing: ring(1)) { store in
      var (answered, lost) = (0, 0)
      for number in 0..<800 {
        do throws(StoreError) {
          let item = try await store.get(StoreFixture.key("p\(number)"), from: StoreFixture.table)
          #expect(item == StoreFixture.patient("p\(number)"))
          answered += 1
        } catch .corrupt { lost += 1 }
      }
      #expect(lost > 0)
      #expect(answered + lost == 800)
      #expect(store.status == .serving)
    }
  }

  @Test("is encrypted anew under a new key while it is written, and then opens without the old one")
  func rekey() async throws {
    try await fixture.withStore(keyRing: ring(1)) { try await Self.fill($0, 0..<20) }
    try await fixture.withStore(keyRing: ring(1, 2)) { store in
      let before = try await store.keysInUse()
      #expect(before.map(\.id).contains(1))
      async let writing: Void = Self.fill(store, 20..<40)
      let after = try await store.rekey()
      #expect(after.map(\.id) == [2])
      try await writing
    }
    try await fixture.withStore(keyRing: ring(2)) { store in
      let keys = try await store.keysInUse()
      let report = try await store.verify()
      #expect(keys.map(\.id) == [2])
      #expect(report.problems == [])
      #expect(report.items == 400)
    }
  }

  private static func fill(_ store: EmbeddedStore, _ batches: Range<Int>) async throws {
    for batch in batches {
      try await store.transact((0..<10).map { StoreFixture.put(StoreFixture.patient("b\(batch)-\($0)")) })
    }
  }
}
