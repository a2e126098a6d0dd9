internal import CivilTime
internal import RPC
internal import ServiceCore
internal import Storage

/// What the service keeps, in its own words; the layout of items is known here and in the files beside this one.
///
/// A store that fails answers with its status (DOMAIN 10).
struct AppointmentStore: Sendable {
  let tables: any TableStore
  /// The zones that time blocks' rules are in.
  var timeZones = TimeZoneDatabase.system

  /// The appointment of that clinician, or `nil`: an id of another clinician is not even looked at (DOMAIN 1).
  func appointment(_ id: String, clinician: String) async throws(RPCError) -> AppointmentRecord? {
    try await reading { () async throws(StoreError) in
      guard let item = try await tables.get(AppointmentItem.key(id, clinician: clinician), from: Tables.appointments)
      else { return nil }
      return try AppointmentItem.record(item)
    }
  }

  /// Those of the appointments that exist with that clinician, in the order of `ids` (at most 100, no duplicates).
  func appointments(_ ids: [String], clinician: String) async throws(RPCError) -> [AppointmentRecord] {
    try await reading { () async throws(StoreError) in
      let keys = ids.map { AppointmentItem.key($0, clinician: clinician) }
      var records: [AppointmentRecord] = []
      for item in try await tables.batchGet(keys, from: Tables.appointments) {
        records.append(try AppointmentItem.record(item))
      }
      return records
    }
  }

  /// Whether a transcription belongs to an appointment already, whoever's it is.
  func isLinked(transcription: String) async throws(RPCError) -> Bool {
    try await reading { () async throws(StoreError) in
      try await tables.get(TranscriptionLink.key(transcription), from: Tables.appointments) != nil
    }
  }

  /// The schedule on all UTC days that `ranges` touch (at most 99 days).
  func schedule(
    of clinician: String, covering ranges: [Range<Instant>]
  ) async throws(RPCError) -> ScheduleSnapshot {
    try await reading { () async throws(StoreError) in
      let head = try await head(of: clinician)
      var days: [Int: ScheduleDay] = [:]
      for range in ranges {
        for day in range.utcDays { days[day] = ScheduleDay(day) }
      }
      let keys = days.keys.sorted().map { ScheduleItems.dayKey($0, of: clinician) }
      for item in try await tables.batchGet(keys, from: Tables.appointments) { try days.read(item) }
      return ScheduleSnapshot(
        clinician: clinician, head: head, days: days,
        blocked: try await blocked(of: clinician, head: head, in: ranges))
    }
  }

  /// All that takes time of one range, for reading only.
  func busy(of clinician: String, in range: Range<Instant>) async throws(RPCError) -> [BusyInterval] {
    try await reading { () async throws(StoreError) in
      let head = try await head(of: clinician)
      var days: [Int: ScheduleDay] = [:]
      var query = Query(
        Tables.appointments, partition: ScheduleItems.partition(of: clinician),
        sortKey: .between(
          ScheduleItems.daySort(range.utcDays.lowerBound), ScheduleItems.daySort(range.utcDays.upperBound)))
      repeat {
        let page = try await tables.query(query)
        for item in page.items { try days.read(item) }
        query.exclusiveStart = page.next
      } while query.exclusiveStart != nil
      let blocked = try await blocked(of: clinician, head: head, in: [range])
      return ScheduleSnapshot(clinician: clinician, head: head, days: days, blocked: blocked).busy
    }
  }

  func reading<Value>(
    _ body: () async throws(StoreError) -> Value
  ) async throws(RPCError) -> Value {
    do { return try await body() } catch { throw ServiceErrors.appointment.store(error, field: "") }
  }

  func head(of clinician: String) async throws(StoreError) -> ScheduleHead {
    guard let item = try await tables.get(ScheduleItems.headKey(of: clinician), from: Tables.appointments)
    else { return ScheduleHead() }
    return try ScheduleHead(item)
  }
}

extension [Int: ScheduleDay] {
  mutating func read(_ item: Item) throws(StoreError) {
    let sort = try ItemReader(item).string("userId")
    guard sort.hasPrefix("day#"), let date = CivilDate(sort.dropFirst(4)) else {
      throw ItemReader.corrupt("userId")
    }
    self[date.dayNumber] = try ScheduleDay(date.dayNumber, item)
  }
}

// MARK: - Writes

extension AppointmentStore {
  /// The writes that make an appointment, beside those of the schedule.
  func creation(of record: AppointmentRecord) -> [Write] {
    var writes = [Write.put(AppointmentItem.item(record), in: Tables.appointments, if: .notExists("id"))]
    if let transcription = record.transcriptionID {
      writes.append(TranscriptionLink.creation(transcription, appointment: record))
    }
    return writes
  }

  /// The writes that keep a changed appointment; they fail if it is no longer the version it was made from.
  func change(of record: AppointmentRecord) -> [Write] {
    var kept = record
    let overflow = HistoryOverflow.trim(&kept)
    return [
      .put(
        AppointmentItem.item(kept), in: Tables.appointments, if: .equals("version", .number(record.version - 1)))
    ] + overflow
  }
}

extension AppointmentStore {
  /// The writes that move a transcription's link along with a changed appointment.
  func relinking(from old: String?, to new: String?, of record: AppointmentRecord) -> [Write] {
    guard old != new else { return [] }
    return [
      old.map { TranscriptionLink.deletion($0, appointment: record) },
      new.map { TranscriptionLink.creation($0, appointment: record) },
    ].compactMap { $0 }
  }
}

/// The sentinel that makes a transcription belong to one appointment at most (DESIGN 6).
enum TranscriptionLink {
  static func key(_ transcription: String) -> ItemKey { ItemKey("transcription#\(transcription)", "-") }

  static func creation(_ transcription: String, appointment: AppointmentRecord) -> Write {
    let key = key(transcription)
    let item: Item = [
      "id": .string(key.partition), "userId": .string(key.sort), "appointmentId": .string(appointment.id),
      "clinicianId": .string(appointment.clinician),
    ]
    return .put(item, in: Tables.appointments, if: .notExists("id"))
  }

  static func deletion(_ transcription: String, appointment: AppointmentRecord) -> Write {
    .delete(
      key(transcription), in: Tables.appointments, if: .equals("appointmentId", .string(appointment.id)))
  }
}
