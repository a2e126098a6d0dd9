internal import CivilTime
internal import Storage

/// The stored form of a time block: the attributes and values of database-schema.md, and what the service adds.
enum TimeBlockItem {
  static func key(_ id: String, clinician: String) -> ItemKey { ItemKey(id, clinician) }

  static func item(_ record: TimeBlockRecord) -> Item {
    let own: Item = [
      "id": .string(record.id),
      "userId": .string(record.clinician),
      "reason": .string(record.content.reason),
      "type": .string(record.content.type.rawValue),
      "createdAt": .string(record.createdAt.description),
      "createdBy": .string(record.createdBy),
      "updatedAt": .string(record.updatedAt.description),
      "updatedBy": .string(record.updatedBy),
      "version": .number(record.version),
    ]
    return own.merging(BlockRuleAttributes.attributes(record.content.rule)) { own, _ in own }
  }

  static func record(_ item: Item) throws(StoreError) -> TimeBlockRecord {
    let reader = ItemReader(item)
    return TimeBlockRecord(
      id: try reader.string("id"), clinician: try reader.string("userId"),
      content: TimeBlockContent(
        rule: try BlockRuleAttributes.rule(reader), reason: try reader.string("reason"),
        type: try reader.value("type")),
      createdAt: try reader.instant("createdAt"), createdBy: try reader.string("createdBy"),
      updatedAt: try reader.instant("updatedAt"), updatedBy: try reader.string("updatedBy"),
      version: try reader.number("version"))
  }
}

/// What a decision has to know of a time block, kept in the clinician's schedule (``ScheduleItems``).
struct LiveBlock: Sendable, Hashable {
  var id: String
  var type: TimeBlockType
  var rule: BlockRule
}

extension LiveBlock {
  init(_ record: TimeBlockRecord) {
    self.init(id: record.id, type: record.content.type, rule: record.content.rule)
  }

  /// Under the last date on which it may occur, so that one that is over is not read again.
  func key(of clinician: String) -> ItemKey {
    ItemKey(ScheduleItems.partition(of: clinician), Self.sort(rule.lastDate ?? .last) + "#\(id)")
  }

  static func sort(_ lastDate: CivilDate) -> String { "block#\(lastDate)" }
  /// After all blocks' sort keys.
  static let sortEnd = "block#~"

  /// The rule is a map of its own: `date` beside `userId` would make the item part of an index.
  func item(of clinician: String) -> Item {
    let key = key(of: clinician)
    return [
      "id": .string(key.partition), "userId": .string(key.sort), "blockId": .string(id),
      "blockType": .string(type.rawValue), "rule": .map(BlockRuleAttributes.attributes(rule)),
    ]
  }

  init(_ item: Item) throws(StoreError) {
    let reader = ItemReader(item)
    id = try reader.string("blockId")
    type = try reader.value("blockType")
    rule = try BlockRuleAttributes.rule(ItemReader(try reader.require(item["rule"]?.mapValue, "rule")))
  }
}

/// A rule as attributes of a time block: date, times, zone and recurrence.
private enum BlockRuleAttributes {
  static func attributes(_ rule: BlockRule) -> Item {
    var item: Item = [
      "date": .string(rule.date.description),
      "startTime": .string(rule.start.description),
      "endTime": .string(rule.end.description),
      "timeZone": .string(rule.timeZone),
    ]
    item["recurrence"] = rule.recurrence.map { .map(attributes($0)) }
    return item
  }

  private static func attributes(_ recurrence: Recurrence) -> Item {
    var item: Item = [
      "type": .string(recurrence.kind.rawValue), "interval": .number(Int64(recurrence.interval)),
    ]
    item["endDate"] = recurrence.endDate.map { .string($0.description) }
    if !recurrence.daysOfWeek.isEmpty {
      item["daysOfWeek"] = .list(recurrence.daysOfWeek.map { Int64($0.rawValue) }.sorted().map { .number($0) })
    }
    if !recurrence.dates.isEmpty { item["dates"] = list(recurrence.dates) }
    if !recurrence.excludedDates.isEmpty { item["excludedDates"] = list(recurrence.excludedDates) }
    return item
  }

  private static func list(_ dates: Set<CivilDate>) -> AttributeValue {
    .list(dates.sorted().map { .string($0.description) })
  }

  static func rule(_ reader: ItemReader) throws(StoreError) -> BlockRule {
    var recurrence: Recurrence?
    if let value = reader.item["recurrence"], value != .null {
      recurrence = try self.recurrence(ItemReader(try reader.require(value.mapValue, "recurrence")))
    }
    let end = CivilTimeOfDay(try reader.string("endTime"), allowingEndOfDay: true)
    return BlockRule(
      date: try reader.date("date"), start: try reader.time("startTime"), end: try reader.require(end, "endTime"),
      timeZone: try reader.string("timeZone"), recurrence: recurrence)
  }

  private static func recurrence(_ reader: ItemReader) throws(StoreError) -> Recurrence {
    var recurrence = Recurrence(kind: try reader.value("type"))
    if let end = try reader.optionalString("endDate") {
      recurrence.endDate = try reader.require(CivilDate(end), "endDate")
    }
    // The document's own items have no interval.
    if reader.item["interval"] != nil {
      let interval = try reader.require(Int(exactly: reader.number("interval")), "interval")
      guard Recurrence.intervals.contains(interval) else { throw ItemReader.corrupt("interval") }
      recurrence.interval = interval
    }
    for value in reader.item["daysOfWeek"]?.listValue ?? [] {
      let number = value.numberValue.flatMap { Int(exactly: $0) }
      recurrence.daysOfWeek.insert(try reader.require(number.flatMap { Weekday(rawValue: $0) }, "daysOfWeek"))
    }
    recurrence.dates = try dates(reader, "dates")
    recurrence.excludedDates = try dates(reader, "excludedDates")
    return recurrence
  }

  private static func dates(_ reader: ItemReader, _ name: String) throws(StoreError) -> Set<CivilDate> {
    var dates: Set<CivilDate> = []
    for value in reader.item[name]?.listValue ?? [] {
      dates.insert(try reader.require(value.stringValue.flatMap { CivilDate($0) }, name))
    }
    return dates
  }
}
