/// A table, declared once for every engine.
package struct TableSchema: Sendable, Hashable {
  /// Its logical name, such as `patients`; engines make `clinicavoice-<name>-<environment>` of it.
  package let name: String
  /// Names of the key attributes; both are strings.
  package let partitionKey: String
  package let sortKey: String
  package let indexes: [IndexSchema]
  /// A Number attribute with an epoch second after which the item is as good as deleted.
  package let timeToLiveAttribute: String?

  package init(
    name: String, partitionKey: String = "id", sortKey: String = "userId", indexes: [IndexSchema] = [],
    timeToLiveAttribute: String? = nil
  ) {
    self.name = name
    self.partitionKey = partitionKey
    self.sortKey = sortKey
    self.indexes = indexes
    self.timeToLiveAttribute = timeToLiveAttribute
  }

  package func index(named name: String) -> IndexSchema? { indexes.first { $0.name == name } }
}

/// A global secondary index with projection ALL.
///
/// Sparse: an item is in it only if it has both key attributes, as strings.
package struct IndexSchema: Sendable, Hashable {
  package let name: String
  package let partitionKey: String
  package let sortKey: String

  package init(name: String, partitionKey: String, sortKey: String) {
    self.name = name
    self.partitionKey = partitionKey
    self.sortKey = sortKey
  }
}
