/// Compares the items of a service's tables with each other, from scratch: what no engine can know, such as that a
/// sentinel names an item that is there. `verify` runs it over a snapshot.
package protocol ItemSweep: Sendable {
  /// Takes each live item of each table once, in any order; what belongs together is compared at the end.
  mutating func add(_ item: Item, of table: TableSchema)

  /// What is wrong, one sentence each. Names tables and ids, never personal data.
  consuming func problems() -> [String]
}
