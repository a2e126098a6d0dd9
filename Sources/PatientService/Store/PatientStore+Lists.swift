internal import RPC
internal import ServiceCore
internal import Storage

/// Which patients a list shows, and in which order.
struct PatientListing: Sendable, Hashable {
  var userId: String
  /// `nil`: any.
  var status: PatientStatus?
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
  /// One range of one index, so that one who changes status while pages are read, or between two reads for one page, is
  /// still seen once. Source: DOMAIN 7.
  func list(
    _ listing: PatientListing, after position: PatientPosition?, limit: Int
  ) async throws(RPCError) -> (records: [PatientRecord], next: PatientPosition?) {
    var records: [PatientRecord] = []
    var query = listing.query(limit: limit + 1, after: position)
    repeat {
      query.limit = limit + 1 - records.count
      let page = try await page(query)
      for item in page.items { records.append(try decode(item)) }
      query.exclusiveStart = page.next
    } while query.exclusiveStart != nil && records.count <= limit
    let page = Array(records.prefix(limit))
    let next = records.count > limit ? page.last : nil
    return (page, next.map { PatientPosition(order: PatientOrder.nameKey($0), id: $0.id) })
  }

  /// How many patients there are in all; reads each of them.
  func count(_ listing: PatientListing) async throws(RPCError) -> Int {
    var count = 0
    var query = listing.query(limit: StoreLimits.queryItems)
    repeat {
      let page = try await page(query)
      count += page.items.count
      query.exclusiveStart = page.next
    } while query.exclusiveStart != nil
    return count
  }
}

extension PatientListing {
  /// Its range: those of one status have an index in which the status comes before the name.
  fileprivate func query(limit: Int, after position: PatientPosition? = nil) -> Query {
    let prefix = status.map(PatientOrder.prefix) ?? ""
    let range = prefix + PatientOrder.cut(foldedLastNamePrefix)
    return Query(
      PatientTable.schema, index: status == nil ? PatientTable.nameIndex : PatientTable.statusNameIndex,
      partition: userId, sortKey: range.isEmpty ? .any : .beginsWith(range), ascending: ascending, limit: limit,
      exclusiveStart: position.map {
        .init(sortKey: prefix + $0.order, item: PatientTable.key(id: $0.id, userId: userId))
      })
  }
}
