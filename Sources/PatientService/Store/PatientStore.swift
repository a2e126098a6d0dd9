internal import RPC
internal import ServiceCore
internal import Storage

/// The patients in the table store: reads as records, and the writes of which mutations are made.
struct PatientStore: Sendable {
  let tables: any TableStore
  private let errors = ServiceErrors.patient

  init(tables: any TableStore) { self.tables = tables }

  func patient(id: String, userId: String) async throws(RPCError) -> PatientRecord? {
    let key = PatientTable.key(id: id, userId: userId)
    return try await tables.item(key, in: PatientTable.schema, errors: errors).map(decode)
  }

  /// The patients that exist among the keys (at most 100, without duplicates), in their order.
  func patients(_ keys: [ItemKey]) async throws(RPCError) -> [PatientRecord] {
    let items: [Item]
    do { items = try await tables.batchGet(keys, from: PatientTable.schema) } catch {
      throw errors.store(error, field: "")
    }
    var records: [PatientRecord] = []
    for item in items { records.append(try decode(item)) }
    return records
  }

  /// The writes that add a new record, each on the condition that nothing is there. The second one holds the record
  /// number.
  func insertion(of record: PatientRecord) -> [Write] {
    [
      .put(PatientItem.encode(record), in: PatientTable.schema, if: .notExists("id")),
      .put(PatientTable.mrnSentinel(record), in: PatientTable.schema, if: .notExists("id")),
    ]
  }

  /// The place of the record number in ``insertion(of:)``.
  static let mrnPlace = 1

  /// The write that replaces a record, on the condition that it is still the one before.
  func replacement(of old: PatientRecord, by new: PatientRecord) -> Write {
    .put(PatientItem.encode(new), in: PatientTable.schema, if: .equals("version", .number(old.version)))
  }

  func page(_ query: Query) async throws(RPCError) -> Page {
    do { return try await tables.query(query) } catch { throw errors.store(error, field: "") }
  }

  func decode(_ item: Item) throws(RPCError) -> PatientRecord {
    do { return try PatientItem.decode(item) } catch { throw errors.recordCorrupt(cause: error) }
  }
}
