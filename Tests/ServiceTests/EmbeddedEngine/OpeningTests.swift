internal import EmbeddedEngine
internal import Foundation
internal import Storage
internal import Testing

@Suite("Opening") struct OpeningTests {
  private let fixture = StoreFixture()

  private func refusal(_ configuration: EmbeddedStore.Configuration) async throws -> EmbeddedStoreError {
    try await #require(throws: EmbeddedStoreError.self) {
      try await EmbeddedStore.open(configuration).close()
    }
  }

  @Test("what was written is there after a close and an open")
  func reopen() async throws {
    let item = StoreFixture.patient("p1")
    try await fixture.withStore { try await $0.transact([StoreFixture.put(item)]) }
    try await fixture.withStore { store in
      let found = try await store.get(StoreFixture.key("p1"), from: StoreFixture.table)
      #expect(found == item)
      try await store.transact([StoreFixture.put(item)])
      #expect(try await store.journalBounds() == 1...2)
    }
  }

  @Test("a second opening is refused and names the process that has the store")
  func lock() async throws {
    try await fixture.withStore { _ in
      let error = try await refusal(fixture.configuration())
      #expect(error == .inUse(path: fixture.directory, process: getpid()))
      #expect(error.description.contains("process \(getpid())"))
    }
    try await fixture.withStore { _ in }
  }

  @Test("directory and files are for their owner only")
  func modes() async throws {
    try FileManager.default.createDirectory(atPath: fixture.directory, withIntermediateDirectories: false)
    try #require(chmod(fixture.directory, 0o755) == 0)
    try await fixture.withStore { store in
      try await store.transact([StoreFixture.put(StoreFixture.patient("p1"))])
      let manager = FileManager.default
      #expect(try manager.attributesOfItem(atPath: fixture.directory)[.posixPermissions] as? Int == 0o700)
      let files = try manager.contentsOfDirectory(atPath: fixture.directory)
      #expect(Set(files) == ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "store.lock"])
      for file in files {
        let attributes = try manager.attributesOfItem(atPath: fixture.directory + "/" + file)
        #expect(attributes[.posixPermissions] as? Int == 0o600, "\(file)")
      }
    }
  }

  @Test("a database that is gone, or empty, is not taken for a new store")
  func lostDatabase() async throws {
    try await fixture.withStore { try await $0.transact([StoreFixture.put(StoreFixture.patient("p1"))]) }
    let path = fixture.directory + "/store.sqlite"
    try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
    for _ in 1...2 { #expect(try await refusal(fixture.configuration()) == .missing(path: fixture.directory)) }
    #expect(FileManager.default.createFile(atPath: path, contents: Data()))
    #expect(try await refusal(fixture.configuration()) == .missing(path: fixture.directory))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: path + ".moved", toPath: path)
    try await fixture.withStore { store in
      let found = try await store.get(StoreFixture.key("p1"), from: StoreFixture.table)
      #expect(found != nil)
    }
  }

  @Test("a closed store has everything in one file")
  func cleanClose() async throws {
    try await fixture.withStore { try await $0.transact([StoreFixture.put(StoreFixture.patient("p1"))]) }
    let files = try FileManager.default.contentsOfDirectory(atPath: fixture.directory)
    #expect(Set(files) == ["store.sqlite", "store.lock"])
  }

  @Test("a directory that others may write is refused")
  func openDirectory() async throws {
    try FileManager.default.createDirectory(atPath: fixture.directory, withIntermediateDirectories: false)
    try #require(chmod(fixture.directory, 0o777) == 0)
    #expect(try await refusal(fixture.configuration()) == .directoryTooOpen(path: fixture.directory, mode: 0o777))
  }

  @Test(
    "a directory that cannot be made is refused in one sentence", arguments: ["/dev/null/store", "/nowhere/at/all"])
  func badDirectory(path: String) async throws {
    let error = try await refusal(.init(directory: path, environment: "test", tables: []))
    #expect(error.description.hasPrefix("The data directory \(path) cannot be used: "))
  }

  @Test("a store of a newer format is refused and stays as it is")
  func newer() async throws {
    try await fixture.withStore { _ in }
    try fixture.tamper("PRAGMA user_version = 99")
    let error = try await refusal(fixture.configuration())
    #expect(error == .newerFormat(path: fixture.directory, found: 99, supported: 2))
    #expect(error.description.contains("use a newer release"))
    try fixture.tamper("PRAGMA user_version = 2")
    try await fixture.withStore { _ in }
  }

  @Test("a database of another program is refused")
  func foreignDatabase() async throws {
    try FileManager.default.createDirectory(atPath: fixture.directory, withIntermediateDirectories: false)
    try fixture.tamper("PRAGMA application_id = 7; CREATE TABLE things (x)")
    try #require(chmod(fixture.directory, 0o700) == 0)
    guard case .notAStore = try await refusal(fixture.configuration()) else { return #expect(Bool(false)) }
  }

  @Test("a file that is no database is refused")
  func noDatabase() async throws {
    try FileManager.default.createDirectory(atPath: fixture.directory, withIntermediateDirectories: false)
    try #require(chmod(fixture.directory, 0o700) == 0)
    let text = Data(repeating: UInt8(ascii: "x"), count: 8192)
    try text.write(to: URL(fileURLWithPath: fixture.directory + "/store.sqlite"))
    guard case .notAStore = try await refusal(fixture.configuration()) else { return #expect(Bool(false)) }
  }

  @Test("a store of another environment is refused")
  func environment() async throws {
    try await fixture.withStore { _ in }
    var configuration = fixture.configuration()
    configuration.environment = "production"
    #expect(
      try await refusal(configuration)
        == .otherEnvironment(path: fixture.directory, found: "test", expected: "production"))
  }

  @Test("a table keeps its key attributes")
  func keyAttributes() async throws {
    try await fixture.withStore { _ in }
    let changed = TableSchema(name: "patients", partitionKey: "uuid")
    #expect(try await refusal(fixture.configuration([changed])) == .tableChanged(table: "patients"))
  }

  @Test("indexes and expiry declared later cover the items that were there before")
  func laterIndexes() async throws {
    let bare = TableSchema(name: "patients")
    try await fixture.withStore([bare]) { store in
      for id in ["b", "a"] { try await store.transact([.put(StoreFixture.patient(id), in: bare)]) }
      try await store.transact([.put(StoreFixture.patient("old", ["expiresAt": 5]), in: bare)])
    }
    try await fixture.withStore { store in
      let page = try await store.query(Query(StoreFixture.table, index: "name-index", partition: "u1"))
      #expect(page.items.map { $0["id"] } == ["a", "b"])
      #expect(try await store.verify().problems == [])
      #expect(try await store.sweepExpired(limit: 10) == 1)
    }
    let renamed = TableSchema(
      name: "patients", indexes: [IndexSchema(name: "name-index", partitionKey: "mrn", sortKey: "name")])
    try await fixture.withStore([renamed]) { store in
      let page = try await store.query(Query(renamed, index: "name-index", partition: "M-a"))
      #expect(page.items.map { $0["id"] } == ["a"])
      #expect(try await store.verify().problems == [])
    }
  }

  @Test("a closed store refuses everything, and closing it again does nothing")
  func closed() async throws {
    let store = try await fixture.open()
    try await store.close()
    try await store.close()
    #expect(store.status == .closed)
    await #expect(throws: StoreError.unavailable("the store is closed")) {
      try await store.get(StoreFixture.key("p1"), from: StoreFixture.table)
    }
    await #expect(throws: StoreError.unavailable("the store is closed")) {
      try await store.query(Query(StoreFixture.table, partition: "p1"))
    }
    await #expect(throws: StoreError.unavailable("the store is closed")) {
      try await store.transact([StoreFixture.put(StoreFixture.patient("p1"))])
    }
  }
}
