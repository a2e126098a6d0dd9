internal import RPC
internal import ServiceCore
internal import Storage

/// Which patients a list shows, and in which order.
struct PatientListing: Sendable, Hashable {
  var userId: String
  /// One or both, each once.
  var statuses: [PatientStatus]
  /// Only last names whose fold begins with this; empty: all.
  var foldedLastNamePrefix = ""
  var ascending = true
}

/// A place in the order of patients: the key without its status, which may change while pages are read, and the id.
struct PatientPosition: Sendable, Hashable {
  var order: String
  var id: String
}

extension PatientStore {
  /// The patient of this clinician with this record number.
  func patient(mrn: String, userId: String) async throws(RPCError) -> PatientRecord? {
    let query = Query(
      PatientTable.schema, index: PatientTable.mrnIndex, partition: mrn, sortKey: .equals(userId), limit: 1)
    return try await page(query).items.first.map(decode)
  }

  /// At most `limit` patients after a place, and the place of the next ones if there are any.
  ///
  /// Patients of each status lie in a range of their own; the ranges are merged by name, so that one who changes status
  /// while pages are read is still seen once. Source: DOMAIN 7.
  func list(
    _ listing: PatientListing, after position: PatientPosition?, limit: Int
  ) async throws(RPCError) -> (records: [PatientRecord], next: PatientPosition?) {
    var entries: [(position: PatientPosition, record: PatientRecord)] = []
    for status in listing.statuses {
      for item in try await items(of: status, in: listing, after: position, limit: limit + 1) {
        let record = try decode(item)
        entries.append((PatientPosition(order: PatientOrder.nameKey(record), id: record.id), record))
      }
    }
    entries.sort { listing.ascending ? $0.position < $1.position : $1.position < $0.position }
    let page = entries.prefix(limit)
    return (page.map(\.record), entries.count > limit ? page.last?.position : nil)
  }

  /// How many patients there are in all; reads each of them.
  func count(_ listing: PatientListing) async throws(RPCError) -> Int {
    var count = 0
    for status in listing.statuses {
      var query = query(of: status, in: listing, limit: StoreLimits.queryItems)
      repeat {
        let page = try await page(query)
        count += page.items.count
        query.exclusiveStart = page.next
      } while query.exclusiveStart != nil
    }
    return count
  }

  private func items(
    of status: PatientStatus, in listing: PatientListing, after position: PatientPosition?, limit: Int
  ) async throws(RPCError) -> [Item] {
    var items: [Item] = []
    var query = query(of: status, in: listing, limit: limit)
    query.exclusiveStart = position.map {
      .init(
        sortKey: PatientOrder.prefix(status) + $0.order, item: PatientTable.key(id: $0.id, userId: listing.userId))
    }
    repeat {
      query.limit = limit - items.count
      let page = try await page(query)
      items += page.items
      query.exclusiveStart = page.next
    } while query.exclusiveStart != nil && items.count < limit
    return items
  }

  private func query(of status: PatientStatus, in listing: PatientListing, limit: Int) -> Query {
    Query(
      PatientTable.schema, index: PatientTable.statusNameIndex, partition: listing.userId,
      sortKey: .beginsWith(PatientOrder.prefix(status, foldedLastName: listing.foldedLastNamePrefix)),
      ascending: listing.ascending, limit: limit)
  }
}

extension PatientPosition: Comparable {
  /// As the store orders index keys: by UTF-8 bytes.
  static func < (lhs: Self, rhs: Self) -> Bool {
    if lhs.order != rhs.order { return lhs.order.utf8.lexicographicallyPrecedes(rhs.order.utf8) }
    return lhs.id.utf8.lexicographicallyPrecedes(rhs.id.utf8)
  }
}
