internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import Storage
internal import Testing

/// What several writers put into a store, so that what is there afterwards follows from one number per writer.
///
/// Writer w's transaction n puts the item `w-n`, deletes the item `w-(n - 3)`, and moves the counter of w from n - 1 to n:
/// with the counter at n, the writer's items are exactly n - 2, n - 1 and n, whatever was lost.
enum Ledger {
  static let table = TableSchema(
    name: "ledger", indexes: [IndexSchema(name: "writer-index", partitionKey: "writer", sortKey: "place")])

  static func ring(_ ids: Int...) throws -> KeyRing {
    var text = Array(ids.map { "\($0):" + String(repeating: "5\($0)", count: 32) }.joined(separator: "\n").utf8)
    return try KeyRing(parsing: &text)
  }

  static func item(_ writer: Int, _ number: Int) -> Item {
    [
      "id": .string("\(writer)-\(number)"), "userId": "w", "writer": .string("writer-\(writer)"),
      "place": .string(place(number)), "text": .string(String(repeating: "\(writer).\(number) ", count: 40)),
    ]
  }

  static func write(_ number: Int, as writer: Int, to store: EmbeddedStore) async throws(StoreError) {
    let counter: Item = ["id": .string("counter-\(writer)"), "userId": "w", "number": .number(Int64(number))]
    let expected: Condition = number == 1 ? .notExists("id") : .equals("number", .number(Int64(number - 1)))
    var writes: [Write] = [
      .put(item(writer, number), in: table, if: .notExists("id")), .put(counter, in: table, if: expected),
    ]
    if number > 3 { writes.append(.delete(ItemKey("\(writer)-\(number - 3)", "w"), in: table, if: .exists("id"))) }
    try await store.transact(writes)
  }

  /// The number of the writer's last transaction; fails the test unless its items are those that belong to it, by key
  /// and by index.
  static func check(_ writer: Int, in store: EmbeddedStore, _ remark: Comment) async throws -> Int {
    let counter = try await store.get(ItemKey("counter-\(writer)", "w"), from: table)
    let last = Int(counter?["number"]?.numberValue ?? 0)
    let expected = last == 0 ? [] : (max(1, last - 2)...last).map { item(writer, $0) }
    let page = try await store.query(Query(table, index: "writer-index", partition: "writer-\(writer)"))
    #expect(page.items == expected, remark)
    for number in max(1, last - 3)...last + 1 {
      let found = try await store.get(ItemKey("\(writer)-\(number)", "w"), from: table)
      #expect(found == expected.first { $0["place"] == .string(place(number)) }, remark)
    }
    return last
  }

  private static func place(_ number: Int) -> String { String(number + 1_000_000) }
}

/// A number that a long run sets in the environment.
func longForm(_ variable: String, or short: Int) -> Int {
  ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } ?? short
}
