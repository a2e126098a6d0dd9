internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

@Suite("A new key for a store")
struct KeyChangeTests {
  private let fixture = StoreFixture()

  private func ring(_ ids: Int...) throws -> KeyRing {
    var text = Array(Self.keys(ids).utf8)
    return try KeyRing(parsing: &text)
  }

  /// A file with the keys of these ids. A command would be a fork of this process, with the locks of all its stores.
  private func source(_ ids: Int...) throws -> KeySource { try Self.source(Self.keys(ids)) }

  private static func source(_ text: String) throws -> KeySource {
    let path = FileManager.default.temporaryDirectory.path + "/keys-\(UUID().uuidString)"
    let made = FileManager.default.createFile(
      atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
    try #require(made)
    return .file(path)
  }

  private static func keys(_ ids: [Int]) -> String {
    ids.map { "\($0):" + String(repeating: "7\($0)", count: 32) + "\n" }.joined()
  }

  private func rekeyFromOutside(_ keyRing: KeyRing) async throws -> [EncryptedVFS.KeyUse] {
    try await EmbeddedStore.rekey(directory: fixture.directory, keyRing: keyRing)
  }

  private func fill(_ store: EmbeddedStore) async throws {
    for number in 0..<50 { try await store.transact([StoreFixture.put(StoreFixture.patient("p\(number)"))]) }
  }

  private func expectFilled(_ store: EmbeddedStore) async throws {
    let report = try await store.verify()
    #expect(report.problems == [])
    #expect(report.items == 50)
  }

  @Test("is read from the source while the store is open, and what is written then is under it")
  func added() async throws {
    try await fixture.withStore(keyRing: ring(1)) { store in
      let added = try await store.addKeys(from: source(1, 2))
      #expect(added.added == [2] && added.absent == [])
      try await fill(store)
      let used = try await store.keysInUse()
      #expect(used.map(\.id).contains(2))
    }
    try await fixture.withStore(keyRing: ring(1, 2)) { try await expectFilled($0) }
  }

  @Test("changes nothing when its source is unreadable or holds another key under a known id")
  func refused() async throws {
    try await fixture.withStore(keyRing: ring(1)) { store in
      let other = "2:\(String(repeating: "72", count: 32))\n1:\(String(repeating: "ab", count: 32))\n"
      await #expect(throws: KeyRingError.otherKey(id: 1)) {
        try await store.addKeys(from: Self.source(other))
      }
      await #expect(throws: KeyRingError.self) { try await store.addKeys(from: .file("/nonexistent/keys")) }
      try await fill(store)
      let used = try await store.keysInUse()
      #expect(used.map(\.id) == [1])
    }
  }

  @Test("an open store is encrypted anew from outside once it holds the key, and not before")
  func whileOpen() async throws {
    try await fixture.withStore(keyRing: ring(1)) { store in
      try await fill(store)
      let refusal = EmbeddedStoreError.keyNotHeld(path: fixture.directory, process: getpid(), key: 2)
      await #expect(throws: refusal) { try await rekeyFromOutside(ring(1, 2)) }
      let before = try await store.keysInUse()
      #expect(before.map(\.id) == [1])
      _ = try await store.addKeys(from: source(1, 2))
      let after = try await rekeyFromOutside(ring(1, 2))
      #expect(after.map(\.id) == [2])
      try await expectFilled(store)
    }
    try await fixture.withStore(keyRing: ring(2)) { try await expectFilled($0) }
  }

  @Test("an open store is not encrypted anew under another key of an id that it holds")
  func otherKeyOfThatID() async throws {
    try await fixture.withStore(keyRing: ring(1, 2)) { store in
      try await fill(store)
      var text = Array("1:\(String(repeating: "71", count: 32))\n2:\(String(repeating: "ab", count: 32))\n".utf8)
      let mixedUp = try KeyRing(parsing: &text)
      let refusal = EmbeddedStoreError.keyNotHeld(path: fixture.directory, process: getpid(), key: 2)
      await #expect(throws: refusal) { try await rekeyFromOutside(mixedUp) }
      try await expectFilled(store)
    }
  }

  @Test("the store of a stopped service is encrypted anew, and is locked meanwhile")
  func whileClosed() async throws {
    try await fixture.withStore(keyRing: ring(1)) { try await fill($0) }
    let (directory, keyRing) = (fixture.directory, try ring(1, 2))
    _ = await #expect(throws: EmbeddedStoreError.keys(.interrupted)) {
      try await EmbeddedStore.rekey(directory: directory, keyRing: keyRing) { _ in
        (try? StoreLock.isFree(directory)) ?? true
      }
    }
    let after = try await rekeyFromOutside(ring(1, 2))
    #expect(after.map(\.id) == [2])
    #expect(try StoreLock.isFree(directory))
    try await fixture.withStore(keyRing: ring(2)) { try await expectFilled($0) }
  }

  @Test("no store is made where there is none, and a ring that does not open it is refused")
  func noStore() async throws {
    await #expect {
      try await rekeyFromOutside(ring(1))
    } throws: { error in
      guard case .notAStore? = error as? EmbeddedStoreError else { return false }
      return true
    }
    #expect(!FileManager.default.fileExists(atPath: fixture.directory))
    try await fixture.withStore(keyRing: ring(1)) { try await fill($0) }
    let path = fixture.directory + "/store.sqlite"
    await #expect(throws: EmbeddedStoreError.keys(.unknownKey(id: 1, path: path))) {
      try await rekeyFromOutside(ring(2))
    }
  }
}

/// The store's lock as another process would find it.
private enum StoreLock {
  static func isFree(_ directory: String) throws -> Bool {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: directory + "/store.lock"))
    defer { try? file.close() }
    return flock(file.fileDescriptor, LOCK_EX | LOCK_NB) == 0
  }
}
