package import Storage

/// The secret of the page tokens, kept in the store itself: so that tokens outlive a restart, all instances share it,
/// and it is as well protected as what the tokens lead to.
package enum PageTokenKey {
  private static let itemKey = ItemKey("secret#page-tokens", "-")

  /// Reads the key, after having made it if this is the first start.
  ///
  /// - Throws: a status when the store fails or holds something else there.
  package static func load(
    from store: any TableStore, table: TableSchema, errors: ServiceErrors, random: RandomSource = .system
  ) async throws -> [UInt8] {
    let transactions = RetryingTransaction(store: store, errors: errors, random: random)
    return try await transactions.run(field: "") { _ in
      if let item = try await store.item(itemKey, in: table, errors: errors) {
        guard let key = item["key"]?.binaryValue, key.count == PageTokens.keyBytes else { throw errors.recordCorrupt() }
        return .done(key)
      }
      let key = random.bytes(PageTokens.keyBytes)
      let item: Item = [
        table.partitionKey: .string(itemKey.partition), table.sortKey: .string(itemKey.sort), "key": .binary(key),
      ]
      return .commit([.put(item, in: table, if: .notExists(table.partitionKey))], then: key)
    }
  }
}
