internal import MemoryEngine
internal import Storage
internal import Synchronization
internal import Testing

@Suite("Metrics") struct MetricsTests {
  private final class Recorder: StoreMetrics {
    private let seen = Mutex<[StoreObservation]>([])
    func record(_ observation: StoreObservation) { seen.withLock { $0.append(observation) } }
    var observations: [StoreObservation] { seen.withLock { $0 } }
  }

  @Test("each call is recorded with its operation, items and capacity units")
  func calls() async throws {
    let recorder = Recorder()
    let store = ObservedStore(MemoryStore(tables: Sample.tables), metrics: recorder)
    // 2000 bytes of text: 2 write units, 1 read unit; 9000 bytes: 9 and 3.
    let small = Sample.patient("p1", ["lastName": "A", "text": .string(String(repeating: "x", count: 2000))])
    let large = Sample.patient("p2", ["lastName": "B", "text": .string(String(repeating: "x", count: 9000))])
    try await store.put(small)
    try await store.transact([.put(small, in: Sample.patients), .put(large, in: Sample.patients)])
    _ = try await store.get(Sample.key("p2"), from: Sample.patients)
    _ = try await store.get(Sample.key("absent"), from: Sample.patients)
    _ = try await store.batchGet([Sample.key("p1"), Sample.key("p2"), Sample.key("p3")], from: Sample.patients)
    _ = try await store.query(Query(Sample.patients, index: "lastName-index", partition: "u1"))
    try await store.transact([.delete(Sample.key("p1"), in: Sample.patients)])
    await #expect(throws: StoreError.conditionFailed([0])) {
      try await store.transact([.check(Sample.key("p1"), in: Sample.patients, if: .exists("id"))])
    }

    let seen = recorder.observations
    #expect(
      seen.map(\.operation) == [
        .putItem, .transactWriteItems, .getItem, .getItem, .batchGetItem, .query, .deleteItem, .transactWriteItems,
      ])
    #expect(seen.map(\.items) == [1, 2, 1, 0, 2, 2, 1, 0])
    #expect(seen.map(\.capacity.writeUnits) == [2, 22, 0, 0, 0, 0, 1, 0])
    #expect(seen.map(\.capacity.readUnits) == [0, 0, 3, 1, 5, 1.5, 0, 0])
    #expect(seen.map(\.error) == [nil, nil, nil, nil, nil, nil, nil, .conditionFailed([0])])
    #expect(seen.allSatisfy { $0.table == "patients" && $0.duration >= .zero })
  }
}
