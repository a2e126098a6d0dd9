internal import CivilTime
internal import RPC
internal import ServiceCore
internal import Storage

extension AppointmentStore {
  /// The time block of that clinician, or `nil`.
  func timeBlock(_ id: String, clinician: String) async throws(RPCError) -> TimeBlockRecord? {
    try await reading { () async throws(StoreError) in
      guard let item = try await tables.get(TimeBlockItem.key(id, clinician: clinician), from: Tables.timeBlocks)
      else { return nil }
      return try TimeBlockItem.record(item)
    }
  }

  /// Those of the time blocks that exist, by id.
  func timeBlocks(_ ids: [String], clinician: String) async throws(RPCError) -> [String: TimeBlockRecord] {
    try await reading { () async throws(StoreError) in
      var records: [String: TimeBlockRecord] = [:]
      var rest = ids[...]
      while !rest.isEmpty {
        let keys = rest.prefix(StoreLimits.batchGetKeys).map { TimeBlockItem.key($0, clinician: clinician) }
        rest = rest.dropFirst(StoreLimits.batchGetKeys)
        for item in try await tables.batchGet(keys, from: Tables.timeBlocks) {
          let record = try TimeBlockItem.record(item)
          records[record.id] = record
        }
      }
      return records
    }
  }

  /// The rules that may occur on `date` or later.
  func liveBlocks(of clinician: String, from date: CivilDate) async throws(RPCError) -> [LiveBlock] {
    try await reading { () async throws(StoreError) in try await blocks(of: clinician, from: date) }
  }

  /// The head of a clinician's schedule: a decision about time reads it before all else.
  func scheduleHead(of clinician: String) async throws(RPCError) -> ScheduleHead {
    try await reading { () async throws(StoreError) in try await head(of: clinician) }
  }

  /// Appointments that take time after `now` and are not over before `from`, for `isIncluded` to choose from; in the
  /// order of time. Reads the clinician's days one by one, up to the last one that has an appointment.
  func appointmentTimes(
    of clinician: String, after now: Instant, from first: Instant, through last: Instant?,
    where isIncluded: (Range<Instant>) -> Bool
  ) async throws(RPCError) -> [BusyInterval] {
    try await reading { () async throws(StoreError) in
      var found: Set<BusyInterval> = []
      var query = Query(
        Tables.appointments, partition: ScheduleItems.partition(of: clinician),
        sortKey: .between(
          ScheduleItems.daySort(max(now, first).utcDayNumber),
          ScheduleItems.daySort(last?.utcDayNumber ?? CivilDate.last.dayNumber)))
      repeat {
        let page = try await tables.query(query)
        var days: [Int: ScheduleDay] = [:]
        for item in page.items { try days.read(item) }
        for (id, interval) in days.values.flatMap(\.busy) where interval.upperBound > now && isIncluded(interval) {
          found.insert(BusyInterval(kind: .appointment, id: id, interval: interval))
        }
        query.exclusiveStart = page.next
      } while query.exclusiveStart != nil
      return found.sorted()
    }
  }

  /// What time blocks cover of some ranges, each occurrence whole; nothing is read where there is no block.
  func blocked(
    of clinician: String, head: ScheduleHead, in ranges: [Range<Instant>]
  ) async throws(StoreError) -> [BusyInterval] {
    guard head.blockCount > 0, let first = ranges.map(\.lowerBound).min() else { return [] }
    // A zone's local date is at most a day off UTC's, and a clock that is set back over midnight adds a day.
    let from = CivilDate(dayNumber: first.utcDayNumber)?.adding(days: -2) ?? .first
    var occurrences: Set<BusyInterval> = []
    for block in try await blocks(of: clinician, from: from) {
      let zone: TimeZoneRules
      do { zone = try timeZones.rules(for: block.rule.timeZone) } catch { throw ItemReader.corrupt("timeZone") }
      for interval in ranges.flatMap({ block.rule.intervals(overlapping: $0, rules: zone) }) {
        occurrences.insert(BusyInterval(kind: .timeBlock, id: block.id, interval: interval))
      }
    }
    return occurrences.sorted()
  }

  private func blocks(of clinician: String, from date: CivilDate) async throws(StoreError) -> [LiveBlock] {
    var blocks: [LiveBlock] = []
    var query = Query(
      Tables.appointments, partition: ScheduleItems.partition(of: clinician),
      sortKey: .between(LiveBlock.sort(date), LiveBlock.sortEnd))
    repeat {
      let page = try await tables.query(query)
      for item in page.items { blocks.append(try LiveBlock(item)) }
      query.exclusiveStart = page.next
    } while query.exclusiveStart != nil
    return blocks
  }
}

// MARK: - Writes

extension AppointmentStore {
  /// The writes that make a time block; they fail if the schedule has changed since `head` was read.
  func creation(of record: TimeBlockRecord, head: ScheduleHead) -> [Write] {
    var head = head
    head.blockCount += 1
    return [
      head.advanced(of: record.clinician),
      .put(TimeBlockItem.item(record), in: Tables.timeBlocks, if: .notExists("id")),
      .put(LiveBlock(record).item(of: record.clinician), in: Tables.appointments),
    ]
  }

  /// The writes that keep a changed time block.
  func change(of old: TimeBlockRecord, to record: TimeBlockRecord, head: ScheduleHead) -> [Write] {
    let (before, after) = (LiveBlock(old), LiveBlock(record))
    var writes = [
      head.advanced(of: record.clinician),
      Write.put(TimeBlockItem.item(record), in: Tables.timeBlocks, if: .equals("version", .number(old.version))),
      .put(after.item(of: record.clinician), in: Tables.appointments),
    ]
    let key = before.key(of: old.clinician)
    if key != after.key(of: record.clinician) { writes.append(.delete(key, in: Tables.appointments)) }
    return writes
  }

  /// The writes that delete a time block for good.
  func deletion(of record: TimeBlockRecord, head: ScheduleHead) -> [Write] {
    var head = head
    head.blockCount -= 1
    return [
      head.advanced(of: record.clinician),
      .delete(
        TimeBlockItem.key(record.id, clinician: record.clinician), in: Tables.timeBlocks,
        if: .equals("version", .number(record.version))),
      .delete(LiveBlock(record).key(of: record.clinician), in: Tables.appointments),
    ]
  }
}
