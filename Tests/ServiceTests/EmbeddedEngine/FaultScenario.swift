internal import DiskTestSupport
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

/// Opens a store on a faulty disk, creates, replaces, deletes, reads and closes, and checks each answer against what the
/// test itself remembers: an answer is the truth or an error.
final class FaultScenario {
  typealias State = [String: Item]

  let disk: FaultyDisk
  /// For copies: a disk without faults, and without the time that syncs take.
  private let sound: FaultyDisk
  let fixture = StoreFixture()
  let keyRing: KeyRing?
  let remark: Comment
  /// What the store may hold: one state, and one more for each transaction that was answered with 'unavailable'.
  private(set) var possible: [State] = [[:]]
  /// How the last write was refused.
  private(set) var lastRefusal: StoreError?
  private(set) var store: EmbeddedStore?

  private static let ids = ["a", "b", "c", "d", "e", "f", "g", "h"]
  private static var table: TableSchema { StoreFixture.table }

  init(keyRing: KeyRing?, _ remark: Comment) throws {
    (disk, sound) = (try FaultyDisk(), try FaultyDisk())
    self.keyRing = keyRing
    self.remark = remark
    try disk.record()
  }

  func configuration(directory: String? = nil) -> EmbeddedStore.Configuration {
    var configuration = fixture.configuration()
    configuration.directory = directory ?? fixture.directory
    configuration.keyRing = keyRing
    configuration.checkpointPages = 24
    configuration.readerThreads = 1
    configuration.baseVFS = directory == nil ? disk.name : sound.name
    return configuration
  }

  /// False if the store could not be opened.
  func open() async -> Bool {
    do {
      store = try await EmbeddedStore.open(configuration())
      return true
    } catch { return false }
  }

  func close() async {
    try? await store?.close()
    store = nil
  }

  func work() async {
    await write([put("a", 1, if: .notExists("id"))])
    await write([put("b", 1, bytes: 9000, if: .notExists("id"))])
    await write([put("c", 1, if: .notExists("id")), put("d", 1, if: .notExists("id"))])
    await read()
    await write([put("e", 1, if: .notExists("id")), put("a", 2, if: .equals("version", 1))])
    await write([put("b", 2, bytes: 15000)])
    await write([.delete(StoreFixture.key("c"), in: Self.table, if: .exists("id"))])
    await write([put("a", 9, if: .notExists("id"))])
    await read()
    await write([
      put("f", 1), .check(StoreFixture.key("d"), in: Self.table, if: .exists("id")),
      .delete(StoreFixture.key("e"), in: Self.table),
    ])
    await write([put("g", 1, bytes: 30000), put("h", 1, bytes: 30000)])
    await write([put("g", 2, bytes: 20000), put("a", 3)])
    await read()
    await write([.delete(StoreFixture.key("h"), in: Self.table), put("c", 2, if: .notExists("id"))])
    await read()
  }

  func put(_ id: String, _ version: Int, bytes: Int = 100, if condition: Condition? = nil) -> Write {
    let text = String(repeating: "\(id)\(version)", count: bytes / 2)
    let more: Item = ["version": .number(Int64(version)), "text": .string(text)]
    return StoreFixture.put(StoreFixture.patient(id, more), if: condition)
  }

  // MARK: Writing

  func write(_ writes: [Write]) async {
    guard let store else { return }
    let after = possible.filter { Self.holds(writes, $0) }.map { Self.apply(writes, $0) }
    let hadFailed = if case .failed = store.status { true } else { false }
    lastRefusal = nil
    do throws(StoreError) {
      try await store.transact(writes)
      possible = after
      #expect(!hadFailed, remark)
    } catch {
      lastRefusal = error
      switch error {
      case .conditionFailed: possible.removeAll { Self.holds(writes, $0) }
      // A store that has failed tries nothing, so nothing is in doubt.
      case .unavailable where !hadFailed: possible += after.filter { !possible.contains($0) }
      case .unavailable, .corrupt: break
      default: Issue.record("\(error), \(remark)")
      }
    }
    #expect(!possible.isEmpty, "a wrong decision, \(remark)")
  }

  private static func holds(_ writes: [Write], _ state: State) -> Bool {
    writes.allSatisfy { write in write.condition?.holds(for: state[id(write)]) ?? true }
  }

  private static func apply(_ writes: [Write], _ state: State) -> State {
    writes.reduce(into: state) { state, write in
      switch write.action {
      case .put(let item): state[id(write)] = item
      case .delete: state[id(write)] = nil
      case .check: break
      }
    }
  }

  private static func id(_ write: Write) -> String {
    switch write.action {
    case .put(let item): item["id"]?.stringValue ?? ""
    case .delete(let key), .check(let key): key.partition
    }
  }

  // MARK: Reading

  private func read() async {
    guard let store else { return }
    if let states = await Self.states(of: possible, in: store) { #expect(!states.isEmpty, "a wrong answer, \(remark)") }
  }

  /// Those of `states` that agree with everything that the store answers; `nil` if it could not answer at all.
  private static func states(of states: [State], in store: EmbeddedStore, strictly: Bool = false) async -> [State]? {
    var (states, answers) = (states, 0)
    func narrow<Value: Equatable>(_ body: () async throws -> Value, _ expected: (State) -> Value) async {
      do {
        let found = try await body()
        answers += 1
        states.removeAll { expected($0) != found }
      } catch { if strictly { Issue.record(error) } }
    }
    for id in ids { await narrow({ try await store.get(StoreFixture.key(id), from: table) }, { $0[id] }) }
    await narrow(
      { try await store.batchGet(ids.map(StoreFixture.key), from: table) }, { state in ids.compactMap { state[$0] } })
    await narrow(
      { try await store.query(Query(table, index: "name-index", partition: "u1")).items },
      { state in ids.compactMap { state[$0] } })
    await narrow(
      { try await store.query(Query(table, index: "mrn-index", partition: "M-a")).items },
      { [$0["a"]].compactMap { $0 } })
    return answers == 0 ? nil : states
  }

  // MARK: Afterwards

  /// With the disk sound again: everything acknowledged is there, and the store agrees with itself and goes on.
  ///
  /// - Returns: the place in the disk's log where a transaction more was acknowledged, before the store was closed.
  @discardableResult
  func checkReopened() async throws -> Int {
    disk.heal()
    let store = try await EmbeddedStore.open(configuration())
    try await check(store)
    self.store = store
    await write([put("a", 10)])
    let position = disk.position
    #expect(lastRefusal == nil && store.status == .serving, remark)
    await close()
    return position
  }

  /// The same of what a power cut at a place in the disk's log would leave.
  func checkAfterPowerCut(at position: Int? = nil, _ survival: FaultyDisk.Survival) async throws {
    let copy = StoreFixture()
    try copy.makeDirectory()
    try disk.rebuild(at: position ?? disk.position, survival, into: copy.directory)
    let store = try await EmbeddedStore.open(configuration(directory: copy.directory))
    try await check(store)
    try await store.close()
  }

  private func check(_ store: EmbeddedStore) async throws {
    let states = await Self.states(of: possible, in: store, strictly: true)
    #expect(states?.isEmpty == false, "a wrong answer after reopening, \(remark)")
    #expect(try await store.verify().problems == [], remark)
  }
}
