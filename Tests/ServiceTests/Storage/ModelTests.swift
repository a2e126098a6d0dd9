internal import Storage
internal import Testing

/// Random histories on the store and on dictionaries that stand for it; the laws of the model are in `Oracle`.
@Suite("Model") struct ModelTests {
  @Test(
    "random transactions and queries agree with a plain dictionary",
    arguments: Engine.allCases, [1, 2, 3, 5, 8, 13] as [UInt64])
  func agree(engine: Engine, seed: UInt64) async throws {
    var random = SplitMix(state: seed)
    var oracle = Oracle()
    try await engine.withStore { store in
      for _ in 0..<120 {
        let writes = oracle.randomWrites(using: &random)
        let expected = oracle.apply(writes)
        var failed: [Int] = []
        do throws(StoreError) { try await store.transact(writes) } catch .conditionFailed(let places) {
          failed = places
        } catch { Issue.record(error) }
        #expect(failed == expected)
        let query = oracle.randomQuery(using: &random)
        let page = try await store.query(query)
        #expect(page.items == oracle.answer(query))
      }
      for (key, item) in oracle.items { #expect(try await store.get(key, from: Sample.patients) == item) }
      // The journal, replayed, is the store, and each change says what it met.
      var replayed: [ItemKey: Item] = [:]
      for change in try await store.changes(after: 0, limit: 1000).flatMap(\.changes) {
        #expect(change.previous == Oracle.previous(of: change.image, over: replayed[change.key]))
        replayed[change.key] = change.image
      }
      #expect(replayed == oracle.items)
    }
  }
}

private struct Oracle {
  var items: [ItemKey: Item] = [:]

  private static let ids = ["a", "b", "c", "d", "e", "f", "g"]
  private static let names = ["Ann", "Anna", "Bob", "bob", "Éa", "Z"]

  mutating func apply(_ writes: [Write]) -> [Int] {
    let failed = writes.indices.filter { index in
      guard let condition = writes[index].condition else { return false }
      return !condition.holds(for: items[Self.key(writes[index])])
    }
    guard failed.isEmpty else { return failed }
    for write in writes {
      switch write.action {
      case .put(let item): items[Self.key(write)] = item
      case .delete(let key): items[key] = nil
      case .check: break
      }
    }
    return []
  }

  func answer(_ query: Query) -> [Item] {
    let rows = items.values.filter { item in
      guard item["userId"]?.stringValue == query.partition, let name = item["lastName"]?.stringValue else {
        return false
      }
      let bytes = Array(name.utf8)
      switch query.sortKey {
      case .any: return true
      case .equals(let value): return bytes == Array(value.utf8)
      case .beginsWith(let prefix): return bytes.starts(with: prefix.utf8)
      case .between(let low, let high):
        return !bytes.lexicographicallyPrecedes(low.utf8) && !Array(high.utf8).lexicographicallyPrecedes(bytes)
      case .atLeast(let low): return !bytes.lexicographicallyPrecedes(low.utf8)
      case .atMost(let high): return !Array(high.utf8).lexicographicallyPrecedes(bytes)
      }
    }
    let sorted = rows.sorted { Self.place($0).lexicographicallyPrecedes(Self.place($1)) }
    return Array((query.ascending ? sorted : sorted.reversed()).prefix(query.limit))
  }

  func randomWrites(using random: inout SplitMix) -> [Write] {
    Self.ids.shuffled(using: &random).prefix(Int.random(in: 1...4, using: &random)).map { id in
      let user = Bool.random(using: &random) ? "u1" : "u2"
      let key = ItemKey(id, user)
      let condition: Condition? =
        switch Int.random(in: 0..<6, using: &random) {
        case 0: .exists("id")
        case 1: .notExists("lastName")
        case 2: .lessThan("n", 500)
        default: nil
        }
      switch Int.random(in: 0..<5, using: &random) {
      case 0: return .delete(key, in: Sample.patients, if: condition)
      case 1: return .check(key, in: Sample.patients, if: condition ?? .notExists("never"))
      default:
        var item = Sample.patient(id, user: user, ["n": .number(Int64.random(in: 0..<1000, using: &random))])
        if Int.random(in: 0..<4, using: &random) > 0 {
          item["lastName"] = Self.names.randomElement(using: &random).map(AttributeValue.string)
        }
        return .put(item, in: Sample.patients, if: condition)
      }
    }
  }

  func randomQuery(using random: inout SplitMix) -> Query {
    let (low, high) = (Self.names.randomElement(using: &random) ?? "", Self.names.randomElement(using: &random) ?? "")
    let sortKeys: [Query.SortKey] = [
      .any, .equals(low), .beginsWith(String(low.prefix(2))), .between(low, high), .atLeast(low), .atMost(low),
    ]
    return Query(
      Sample.patients, index: "lastName-index", partition: Bool.random(using: &random) ? "u1" : "u2",
      sortKey: sortKeys.randomElement(using: &random) ?? .any, ascending: .random(using: &random),
      limit: Int.random(in: 1...8, using: &random))
  }

  static func previous(of image: Item?, over before: Item?) -> CommittedTransaction.Previous {
    guard let image else { return before.map { .deleted($0) } ?? .unknown }
    guard let before else { return .absent }
    return .differing(["id", "lastName", "n", "userId"].filter { image[$0] != before[$0] })
  }

  private static func key(_ write: Write) -> ItemKey {
    switch write.action {
    case .put(let item): ItemKey(item["id"]?.stringValue ?? "", item["userId"]?.stringValue ?? "")
    case .delete(let key), .check(let key): key
    }
  }

  /// Sort key and item key as one byte string; no part holds a zero byte.
  private static func place(_ item: Item) -> [UInt8] {
    [item["lastName"], item["id"], item["userId"]].flatMap { Array(($0?.stringValue ?? "").utf8) + [0] }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same sequence for the same seed everywhere.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
