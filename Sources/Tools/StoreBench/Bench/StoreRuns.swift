internal import CSyncCounter
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Synchronization

/// What a run of creates took.
struct CreateFigures: Sendable {
  var creates: Int
  var seconds: Double
  var cpuSeconds: Double
  var syncs: Int

  var rate: Double { Double(creates) / seconds }
  var perSync: Double { Double(creates) / Double(max(1, syncs)) }
  var cpuMicros: Double { cpuSeconds / Double(creates) * 1e6 }
}

/// Runs `body` with the clocks and the counter of syncs read before and after.
func measure(creates: Int, _ body: () async throws -> Void) async rethrows -> CreateFigures {
  let (start, cpu, syncs) = (monotonic_nanoseconds(), cpu_nanoseconds(), sync_count())
  try await body()
  return CreateFigures(
    creates: creates, seconds: Double(monotonic_nanoseconds() - start) / 1e9,
    cpuSeconds: Double(cpu_nanoseconds() - cpu) / 1e9, syncs: Int(sync_count() - syncs))
}

/// How many transactions shared each commit of a store: it asks for the time once for each, and syncs between commits.
final class GroupSizes: Sendable {
  private struct State {
    var sizes: [Int] = []
    var syncs: UInt64 = 0
  }

  private let state = Mutex(State())

  /// Those since the last call.
  func take() -> [Int] {
    state.withLock { state in
      defer { state.sizes = [] }
      return state.sizes
    }
  }

  func noteTransaction() {
    state.withLock { state in
      let syncs = sync_count()
      if state.sizes.isEmpty || state.syncs != syncs {
        state.sizes.append(0)
        state.syncs = syncs
      }
      state.sizes[state.sizes.count - 1] += 1
    }
  }
}

/// Numbers from 0, one for each that asks.
private final class Turn: Sendable {
  private let next = Atomic(0)

  func take() -> Int { next.wrappingAdd(1, ordering: .relaxed).oldValue }
}

extension EmbeddedStore {
  static func benchKeys() throws -> KeyRing {
    var text = Array("1:\(String(repeating: "5a", count: 32))".utf8)
    return try KeyRing(parsing: &text)
  }

  static func open(_ directory: String, encrypted: Bool, groups: GroupSizes? = nil) async throws -> EmbeddedStore {
    var configuration = Configuration(directory: directory, environment: "bench", tables: [Patients.table])
    if encrypted { configuration.keyRing = try benchKeys() }
    if let groups {
      configuration.clock = {
        groups.noteTransaction()
        return systemStoreClock()
      }
    }
    return try await open(configuration)
  }

  /// As many transactions in flight as `inFlight`, the next one as soon as one is answered.
  func create(_ transactions: [[Write]], inFlight: Int) async throws -> CreateFigures {
    let next = Turn()
    return try await measure(creates: transactions.count) {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<inFlight {
          group.addTask {
            while true {
              let index = next.take()
              guard index < transactions.count else { return }
              try await self.transact(transactions[index])
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }

  /// Adds patients, one clinician's at a time: a million in random order would keep the disk busy with the same pages for
  /// long. Returns the keys of some of them.
  func fill(clinicians: Int, patientsEach: Int) async throws -> [ItemKey] {
    let perTransaction = 50
    let step = max(1, clinicians * patientsEach / 50_000)
    var patients = Patients(clinicians: clinicians, seed: 1000)
    var keys: [ItemKey] = []
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (place, user) in patients.clinicians.enumerated() {
        let day = 20_200_000 + place * 10_000 / clinicians
        for first in stride(from: 0, to: patientsEach, by: perTransaction) {
          var writes: [Write] = []
          for number in first..<min(first + perTransaction, patientsEach) {
            let (key, more) = patients.registration(of: user, day: day)
            writes += more
            if number % step == 0 { keys.append(key) }
          }
          group.addTask { [writes] in try await self.transact(writes) }
        }
        // The next clinician's are made while these are written.
        if place > 0 { for _ in stride(from: 0, to: patientsEach, by: perTransaction) { try await group.next() } }
      }
      try await group.waitForAll()
    }
    return keys
  }
}
