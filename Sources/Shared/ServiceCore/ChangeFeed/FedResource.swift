package import CivilTime
package import Storage

/// A kind of resource whose changes a feed tells: which items are one, and which of their attributes are fields of the
/// contract.
package struct FedResource<Kind: Hashable & Sendable>: Sendable {
  package let kind: Kind
  let table: String
  private let fields: Set<String>

  /// Fields that say nothing beyond that there was a change, or that never change.
  private static var bookkeeping: Set<String> {
    ["id", "user_id", "created_at", "created_by", "updated_at", "updated_by", "version", "etag"]
  }

  /// - Parameter fields: of the contract's message, by their names there. An attribute belongs to the field of the same
  ///   name in snake_case; attributes without a field are internal and never told.
  package init(_ kind: Kind, table: TableSchema, fields: Set<String>) {
    self.kind = kind
    self.table = table.name
    self.fields = fields.subtracting(Self.bookkeeping)
  }

  /// What is kept beside the resources has keys of other shapes.
  func owns(_ change: CommittedTransaction.Change) -> Bool {
    change.table == table && ResourceID(change.key.partition)?.description == change.key.partition
  }

  func paths(ofAttributes names: [String]) -> [String] {
    names.map(Self.snakeCase).filter(fields.contains).sorted()
  }

  /// `dateOfBirth` → `date_of_birth`.
  private static func snakeCase(_ name: String) -> String {
    name.reduce(into: "") { text, letter in
      if letter.isUppercase { text.append("_") }
      text += letter.lowercased()
    }
  }
}

/// One committed change of a resource, as a feed tells it: nothing of what it holds.
package struct FeedChange<Kind: Hashable & Sendable>: Sendable, Hashable {
  package enum Operation: Sendable, Hashable { case created, updated, deleted }

  /// Increases through a clinician's feed.
  package var sequence: Int64
  package var kind: Kind
  package var id: String
  package var userId: String
  /// That the change made; of a deletion the last one.
  package var version: Int64
  package var operation: Operation
  /// Sorted; of a creation or deletion none.
  package var changedPaths: [String]
  package var committedAt: Instant
}

extension FeedChange {
  /// Changes of one transaction share its place, so their place in it (fewer than this) comes behind.
  static var changesPerTransaction: Int64 { 128 }

  /// - Parameter index: of the change among those of its clinician in the transaction.
  /// - Throws: ``StoreError/corrupt(_:)`` when the resource has no version.
  init(
    _ change: CommittedTransaction.Change, at index: Int, of transaction: CommittedTransaction,
    resource: FedResource<Kind>
  ) throws(StoreError) {
    let image: Item?
    switch (change.image, change.previous) {
    case (let item?, .absent): (image, operation, changedPaths) = (item, .created, [])
    case (let item?, .differing(let names)):
      (image, operation, changedPaths) = (item, .updated, resource.paths(ofAttributes: names))
    case (let item?, _):
      (image, operation, changedPaths) = (item, item["version"] == 1 ? .created : .updated, [])
    case (nil, .deleted(let last)): (image, operation, changedPaths) = (last, .deleted, [])
    // Nobody knows what it was (``CommittedTransaction/Previous/unknown``).
    case (nil, _): (image, operation, changedPaths) = (["version": 0], .deleted, [])
    }
    guard let version = image?["version"]?.numberValue else { throw .corrupt("a resource without a version") }
    self.version = version
    sequence = transaction.sequence * Self.changesPerTransaction + Int64(index)
    kind = resource.kind
    id = change.key.partition
    userId = change.key.sort
    committedAt = Instant(microseconds: transaction.committedAt)
  }
}
