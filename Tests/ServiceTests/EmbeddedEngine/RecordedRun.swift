internal import DiskTestSupport
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Synchronization
internal import TestSupport
internal import Testing

/// A recorded workload.
// @unchecked: the key ring and the place of the rekey are set by the test's own task, between or within its sessions.
final class RecordedRun: @unchecked Sendable {
  struct Mark {
    var writer: Int
    var number: Int
    var position: Int
  }

  private static let writers = 8

  let disk: FaultyDisk
  private let fixture = StoreFixture()
  var keyRing: KeyRing?
  /// Where in the log a rekey was done, and the keys that are enough from there on.
  var enough: (position: Int, keyRing: KeyRing)?
  /// The first place to cut at: from there on the log knows the files that were there before.
  private var start = 0
  /// Where each transaction was begun, and where it was acknowledged.
  let begun = Mutex<[Mark]>([])
  let acknowledged = Mutex<[Mark]>([])

  init(keyRing: KeyRing?) throws {
    disk = try FaultyDisk()
    self.keyRing = keyRing
    try disk.record()
  }

  /// Goes on with what a power cut left of `run`.
  convenience init(after run: RecordedRun, cutAt position: Int, keyRing: KeyRing?) throws {
    try self.init(keyRing: keyRing)
    try fixture.makeDirectory()
    try run.disk.rebuild(at: position, .nothing, into: fixture.directory)
    let kept = run.acknowledged.withLock { $0.filter { $0.position <= position } }
      .map { Mark(writer: $0.writer, number: $0.number, position: 0) }
    start = 2
    begun.withLock { $0 = kept }
    acknowledged.withLock { $0 = kept }
  }

  struct Session: Sendable {
    var run: RecordedRun
    var store: EmbeddedStore

    func write(_ numbers: ClosedRange<Int>) async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<RecordedRun.writers {
          group.addTask {
            for number in numbers {
              let begun = Mark(writer: writer, number: number, position: run.disk.position)
              run.begun.withLock { $0.append(begun) }
              try await Ledger.write(number, as: writer, to: store)
              let done = Mark(writer: writer, number: number, position: run.disk.position)
              run.acknowledged.withLock { $0.append(done) }
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }

  func open(_ body: (Session) async throws -> Void) async throws {
    var configuration = configuration(fixture.directory, on: disk, keyRing)
    // Small, so that checkpoints happen and the log is begun anew several times.
    configuration.checkpointPages = 48
    let store = try await EmbeddedStore.open(configuration)
    try await body(Session(run: self, store: store))
    try await store.close()
  }

  private func configuration(
    _ directory: String, on disk: FaultyDisk, _ keyRing: KeyRing?
  ) -> EmbeddedStore.Configuration {
    var configuration = EmbeddedStore.Configuration(directory: directory, environment: "test", tables: [Ledger.table])
    configuration.keyRing = keyRing
    configuration.baseVFS = disk.name
    return configuration
  }

  /// Cuts the power at places that the seed gives: anywhere, and right after acknowledgements.
  func cut(_ count: Int, seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let acknowledgements = acknowledged.withLock { $0.map { max($0.position, start) } }
    for number in 0..<count {
      let anywhere = Int.random(in: start...disk.position, using: &random)
      let answered = (number % 4 == 1 ? enough?.position : nil) ?? acknowledgements.randomElement(using: &random)
      let position = number % 2 == 0 ? anywhere : answered ?? anywhere
      let survival: FaultyDisk.Survival =
        switch number % 16 {
        case 1, 2, 3: .nothing
        case 4: .everything
        default: .some(seed: random.next())
        }
      do { try await check(position, survival) } catch {
        Issue.record("\(error) \(remark(position, survival))")
      }
    }
  }

  func check(_ position: Int, _ survival: FaultyDisk.Survival) async throws {
    let remark = remark(position, survival)
    let (copy, sound) = (StoreFixture(), try FaultyDisk())
    try copy.makeDirectory()
    try disk.rebuild(at: position, survival, into: copy.directory)
    let keyRing = enough.flatMap { $0.position <= position ? $0.keyRing : nil } ?? keyRing
    let store = try await EmbeddedStore.open(configuration(copy.directory, on: sound, keyRing))
    let report = try await store.verify()
    #expect(report.problems == [], remark)
    for writer in 0..<RecordedRun.writers {
      let last = try await Ledger.check(writer, in: store, remark)
      let (least, most) = (highest(of: acknowledged, writer, position), highest(of: begun, writer, position))
      #expect((least...most).contains(last), "writer \(writer), \(remark)")
      try await Ledger.write(last + 1, as: writer, to: store)
      let next = try await Ledger.check(writer, in: store, remark)
      #expect(next == last + 1, remark)
    }
    try await store.close()
  }

  private func remark(_ position: Int, _ survival: FaultyDisk.Survival) -> Comment {
    "cut at \(position) of \(disk.position), surviving: \(survival)"
  }

  private func highest(of marks: borrowing Mutex<[Mark]>, _ writer: Int, _ position: Int) -> Int {
    marks.withLock { $0.filter { $0.writer == writer && $0.position <= position }.map(\.number).max() ?? 0 }
  }
}
