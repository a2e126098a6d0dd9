internal import Crypto
package import CivilTime
package import Identity
internal import NIOCore
package import RPC
package import Storage

/// Which request of which caller: what makes a repeated mutation recognizable.
///
/// Scope: principal, method, request id. Source: DOMAIN 8.
package struct IdempotencyKey: Sendable, Hashable {
  /// Key of the record, a hash, since subjects of tokens have no bound that suits a store's keys.
  let itemKey: ItemKey
  /// Hash of the request without its request id.
  let requestHash: [UInt8]

  /// - Parameters:
  ///   - method: path of the method, as routed.
  ///   - canonicalRequest: the request with its request id cleared.
  package init(
    requestId: ResourceID, principal: Principal, method: String, canonicalRequest: some WireMessage
  ) throws(RPCError) {
    var scope = SHA256()
    let caller = principal.onBehalfOf
    let parts = [
      principal.role.rawValue, principal.id, caller?.role.rawValue ?? "", caller?.id ?? "", method,
      requestId.description,
    ]
    for part in parts {
      withUnsafeBytes(of: UInt64(part.utf8.count).bigEndian) { scope.update(bufferPointer: $0) }
      scope.update(data: Array(part.utf8))
    }
    itemKey = ItemKey("idempotency#" + Hex.encode(scope.finalize()), "-")
    do {
      requestHash = Array(SHA256.hash(data: Array(try canonicalRequest.serialized().readableBytesView)))
    } catch {
      throw RPCError(.internal, "The request cannot be serialized.", cause: error)
    }
  }
}

/// What a mutation left behind when it first succeeded.
package struct IdempotencyRecord: Sendable, Hashable {
  /// Ids of what it made or changed, in its own order.
  package let resources: [String]
  /// When it was committed.
  package let recordedAt: Instant
}

/// Remembers which mutations were done, so that a repeated request has no second effect.
///
/// The record is written in the transaction of the mutation itself, on the condition that there is none: of
/// concurrent duplicates one commits, the others find its record. Failures leave none. Source: DOMAIN 8.
package struct IdempotencyRecords: Sendable {
  /// The table that keeps them, beside what the mutations change.
  package let table: TableSchema
  private let store: any TableStore
  private let errors: ServiceErrors

  /// DOMAIN 8 promises 24 hours; an hour more keeps the promise across clocks that differ.
  package static let lifetimeSeconds: Int64 = 25 * 3600
  /// Trailing and initial metadata of an answer that was given before.
  package static let replayedMetadata = "idempotent-replayed"

  package init(store: any TableStore, table: TableSchema, errors: ServiceErrors) {
    self.store = store
    self.table = table
    self.errors = errors
  }

  /// The record of an earlier success, or `nil`.
  ///
  /// - Throws: `INVALID_ARGUMENT`, `REQUEST_ID_REUSED`, when the id was used with another payload.
  package func find(_ key: IdempotencyKey, now: Instant) async throws(RPCError) -> IdempotencyRecord? {
    guard let item = try await store.item(key.itemKey, in: table, errors: errors) else { return nil }
    guard let expiry = item[ExpiringItem.attribute]?.numberValue, let hash = item["requestHash"]?.binaryValue,
      let resources = item["resources"]?.listValue, let recordedAt = item["recordedAt"]?.numberValue
    else { throw errors.recordCorrupt() }
    if expiry <= now.seconds { return nil }
    guard hash == key.requestHash else {
      throw errors.make(.requestIdReused, "The request id was used before, with another request.")
    }
    return IdempotencyRecord(
      resources: resources.compactMap(\.stringValue), recordedAt: Instant(microseconds: recordedAt))
  }

  /// The write that records a success; it belongs into the transaction of the mutation.
  package func write(_ key: IdempotencyKey, resources: [String], now: Instant) -> Write {
    let item: Item = [
      table.partitionKey: .string(key.itemKey.partition),
      table.sortKey: .string(key.itemKey.sort),
      "requestHash": .binary(key.requestHash),
      "resources": .list(resources.map(AttributeValue.string)),
      "recordedAt": .number(now.microseconds),
      ExpiringItem.attribute: .number(now.seconds + Self.lifetimeSeconds),
    ]
    return .put(item, in: table, if: ExpiringItem.isAbsent(at: now, keyAttribute: table.partitionKey))
  }
}

/// Internal items with a limited life. All of them carry their expiry in the same Number attribute, in seconds since
/// 1970, which every table names as its time to live. Source: DESIGN 6.
package enum ExpiringItem {
  package static let attribute = "invitationExpiresAt"

  /// Holds when there is no such item, or only one that an engine has not swept yet.
  package static func isAbsent(at now: Instant, keyAttribute: String = "id") -> Condition {
    .or([.notExists(keyAttribute), .lessThan(attribute, .number(now.seconds + 1))])
  }
}

extension ServerContext {
  /// Tells the caller that this is the answer to an earlier request. Source: DOMAIN 8.
  package func markReplayed() {
    initialMetadata.set("true", for: IdempotencyRecords.replayedMetadata)
    trailingMetadata.set("true", for: IdempotencyRecords.replayedMetadata)
  }
}
