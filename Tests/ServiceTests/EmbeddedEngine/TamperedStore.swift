internal import DiskTestSupport
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import GRDB
internal import Storage
internal import Testing

/// A small encrypted store with its files at several moments, and the test's own memory of what was in it.
struct TamperedStore: Sendable {
  struct Files: Sendable {
    var database: Data
    var wal = Data()
    var frames: Int { wal.count < 32 ? 0 : (wal.count - 32) / 4120 }
  }

  typealias State = [String: Item]

  /// The closed store's file after each session; the last is that of ``states``' last.
  private(set) var versions: [Data] = []
  /// The items after each transaction.
  private(set) var states: [State] = [[:]]
  /// The files of the open store: with several commits that are only in the WAL, and after a checkpoint that left the WAL.
  private(set) var live = Files(database: Data())
  private(set) var checkpointed = Files(database: Data())
  private let keyRing: KeyRing
  /// Without faults, and without the time that syncs take.
  private let disk: FaultyDisk

  private static let users = ["u1", "u2"]
  private static let table = TableSchema(
    name: "patients",
    indexes: [
      IndexSchema(name: "mrn-index", partitionKey: "mrn", sortKey: "userId"),
      IndexSchema(name: "name-index", partitionKey: "userId", sortKey: "name"),
    ])

  init() async throws {
    (keyRing, disk) = (try Ledger.ring(1), try FaultyDisk())
    let fixture = StoreFixture()
    for session in 0..<5 {
      try await open(fixture.directory) { try await change($0, session) }
      versions.append(try Self.files(fixture.directory).database)
    }
    try await open(fixture.directory) { store in
      for session in 5..<7 { try await change(store, session) }
      live = try Self.files(fixture.directory)
      try checkpoint(fixture.directory)
      checkpointed = try Self.files(fixture.directory)
    }
    try #require(live.database == versions[4] && checkpointed.database != versions[4])
    try #require(live.wal == checkpointed.wal)
  }

  /// By a connection of the test's own, beside those of the store.
  private func checkpoint(_ directory: String) throws {
    let vfs = try EncryptedVFS(keyRing: keyRing, over: disk.name)
    let queue = try DatabaseQueue(path: vfs.uri(databaseAt: directory + "/store.sqlite"))
    _ = try queue.writeWithoutTransaction { try $0.checkpoint(.passive) }
    try queue.close()
    try vfs.unregister()
  }

  /// Creates, replaces and deletes items, remembering each state.
  private mutating func change(_ store: EmbeddedStore, _ session: Int) async throws {
    for step in 0..<4 {
      var state = states[states.count - 1]
      var writes: [Write] = []
      for number in 0..<3 {
        let item = Self.item(session * 12 + step * 3 + number, version: 0)
        writes.append(.put(item, in: Self.table, if: .notExists("id")))
        state[item["id"]?.stringValue ?? ""] = item
      }
      let (old, gone) = (session * 6 + step, session * 9 + step * 2)
      if step > 0, state["p\(old)"] != nil {
        let item = Self.item(old, version: states.count)
        writes.append(.put(item, in: Self.table, if: .exists("id")))
        state["p\(old)"] = item
      }
      if step > 1, gone != old, state["p\(gone)"] != nil {
        writes.append(.delete(ItemKey("p\(gone)", Self.user(gone)), in: Self.table, if: .exists("id")))
        state["p\(gone)"] = nil
      }
      try await store.transact(writes)
      states.append(state)
    }
  }

  private static func user(_ number: Int) -> String { users[number % 2] }

  private static func item(_ number: Int, version: Int) -> Item {
    [
      "id": .string("p\(number)"), "userId": .string(user(number)), "mrn": .string("M\(number)"),
      "name": .string("N\(version)-\(number)"), "text": .string(String(repeating: "\(version).\(number) ", count: 50)),
    ]
  }

  private func open(_ directory: String, _ body: (EmbeddedStore) async throws -> Void) async throws {
    var configuration = EmbeddedStore.Configuration(directory: directory, environment: "test", tables: [Self.table])
    configuration.keyRing = keyRing
    configuration.baseVFS = disk.name
    let store = try await EmbeddedStore.open(configuration)
    do { try await body(store) } catch {
      try? await store.close()
      throw error
    }
    // A damaged store may refuse the checkpoint at its end.
    try? await store.close()
  }

  private static func files(_ directory: String) throws -> Files {
    func read(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name)) }
    return Files(database: try read("store.sqlite"), wal: (try? read("store.sqlite-wal")) ?? Data())
  }

  private static func put(_ files: Files, into fixture: StoreFixture) throws {
    try fixture.makeDirectory()
    try files.database.write(to: URL(fileURLWithPath: fixture.directory + "/store.sqlite"))
    if !files.wal.isEmpty { try files.wal.write(to: URL(fileURLWithPath: fixture.directory + "/store.sqlite-wal")) }
  }

  // MARK: Damage

  static func range(of page: Int) -> Range<Int> { page * 4096..<(page + 1) * 4096 }

  /// Damages each page in turn (`false`: there is nothing to damage); nearly all damage must be noticed.
  func forEachPage(
    knownTo witness: Witness = .reading, _ damage: (_ page: Int, _ database: inout Data) -> Bool
  ) async throws {
    var (damaged, noticed) = (0, 0)
    for page in 1..<versions[4].count / 4096 {
      var files = Files(database: versions[4])
      guard damage(page, &files.database) else { continue }
      damaged += 1
      if try await expectTruth(files, "page \(page)", knownTo: witness) { noticed += 1 }
    }
    #expect(damaged > 5 && noticed > damaged * 3 / 4, "\(noticed) of \(damaged)")
  }

  /// Who has to notice, where the store does not answer with the truth.
  enum Witness { case reading, verify }

  /// Opens the files: what is read is an error or of one of the states, which is that after the last session unless
  /// `states` says otherwise; or, with `.verify`, verification finds fault.
  ///
  /// - Returns: whether an error was said.
  @discardableResult
  func expectTruth(
    _ files: Files, _ remark: Comment, knownTo witness: Witness, among states: [State]? = nil
  ) async throws -> Bool {
    let copy = StoreFixture()
    try Self.put(files, into: copy)
    var candidates = states ?? [self.states[20]]
    var (errors, isFound) = (0, false)
    do {
      try await open(copy.directory) { store in
        let keys = Set(self.states.flatMap(\.keys))
        for key in keys.sorted() {
          let user = Self.user(Int(key.dropFirst()) ?? 0)
          do {
            let found = try await store.get(ItemKey(key, user), from: Self.table)
            candidates.removeAll { $0[key] != found }
          } catch { errors += 1 }
          do {
            let query = Query(Self.table, index: "mrn-index", partition: "M" + key.dropFirst())
            let found = try await store.query(query).items
            candidates.removeAll { $0[key].map { [$0] } ?? [] != found }
          } catch { errors += 1 }
        }
        for user in Self.users {
          do {
            let query = Query(Self.table, index: "name-index", partition: user, limit: 1000)
            let found = try await store.query(query).items
            candidates.removeAll { Self.list(user, in: $0) != found }
          } catch { errors += 1 }
        }
        isFound = try await !store.verify().isClean
      }
    } catch { isFound = true }
    #expect(!candidates.isEmpty || (witness == .verify && isFound), "a wrong answer: \(remark)")
    return errors > 0 || isFound
  }

  private static func list(_ user: String, in state: State) -> [Item] {
    state.values.filter { $0["userId"] == .string(user) }
      .sorted {
        ($0["name"]?.stringValue ?? "", $0["id"]?.stringValue ?? "") < (
          $1["name"]?.stringValue ?? "", $1["id"]?.stringValue ?? ""
        )
      }
  }

  /// Damages a WAL at each of its frames; the store then opens at one of the states, or says that it is damaged.
  func forEachFrame(of files: Files, _ damage: (_ start: Int, _ wal: inout Data) -> Void) async throws {
    #expect(files.frames > 20)
    for frame in 0..<files.frames {
      var damaged = files
      damage(32 + frame * 4120, &damaged.wal)
      try await expectTruth(damaged, "frame \(frame) of \(files.frames)", knownTo: .reading, among: states)
    }
  }
}
