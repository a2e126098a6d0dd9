internal import CivilTime
internal import Storage

/// The stored form of a clinician's schedule (DESIGN 6), all in one partition of the appointments table:
///
/// - `head`: the version that every change of the schedule conditions on and increments;
/// - `day#YYYY-MM-DD`: the appointments that take time of that UTC day, with their whole intervals, so that one that
///   crosses midnight is in two of them;
/// - `block#YYYY-MM-DD#id`: a time block's rule under the last date on which it may occur, so that a range read finds
///   those that are still alive. `9999-12-31` stands for no end.
///
/// None has an attribute that an index is keyed by beside `userId`.
enum ScheduleItems {
  static let head = "head"

  static func partition(of clinician: String) -> String { "schedule#\(clinician)" }

  static func headKey(of clinician: String) -> ItemKey { ItemKey(partition(of: clinician), head) }

  static func dayKey(_ day: Int, of clinician: String) -> ItemKey {
    ItemKey(partition(of: clinician), daySort(day))
  }

  static func daySort(_ day: Int) -> String { "day#\(date(day))" }

  private static func date(_ day: Int) -> CivilDate {
    CivilDate(dayNumber: day) ?? (day < 0 ? .first : .last)
  }
}

/// The head of a clinician's schedule.
struct ScheduleHead: Sendable, Hashable {
  /// 0 before anything was ever booked.
  var version: Int64 = 0
  /// How many `block#…` items there are; when there are none they need not be looked for.
  var blockCount: Int64 = 0

  init() {}

  init(_ item: Item) throws(StoreError) {
    let reader = ItemReader(item)
    version = try reader.number("version")
    blockCount = try reader.number("blockCount")
  }

  /// The write that every change of the schedule carries: it fails if another change was faster.
  func advanced(of clinician: String) -> Write {
    let key = ScheduleItems.headKey(of: clinician)
    let item: Item = [
      "id": .string(key.partition), "userId": .string(key.sort), "version": .number(version + 1),
      "blockCount": .number(blockCount),
    ]
    return .put(
      item, in: Tables.appointments, if: version == 0 ? .notExists("id") : .equals("version", .number(version)))
  }
}

/// The appointments that take time of one UTC day.
struct ScheduleDay: Sendable, Hashable {
  /// Days since 1970.
  let day: Int
  /// By appointment; a UTC day of non-overlapping appointments has at most 97 of them, imported ones may overlap.
  var busy: [String: Range<Instant>] = [:]

  init(_ day: Int) { self.day = day }

  init(_ day: Int, _ item: Item) throws(StoreError) {
    self.day = day
    for (id, start, end) in try ItemReader(item).list("busy", Self.entry) {
      guard start < end, busy.updateValue(start..<end, forKey: id) == nil else { throw ItemReader.corrupt("busy") }
    }
  }

  private static func entry(_ reader: ItemReader) throws(StoreError) -> (String, Instant, Instant) {
    (
      try reader.string("id"), Instant(seconds: try reader.number("start")),
      Instant(seconds: try reader.number("end"))
    )
  }

  /// The write that keeps the day as it is now. It needs no condition of its own: the head's decides.
  func write(of clinician: String) -> Write {
    let key = ScheduleItems.dayKey(day, of: clinician)
    guard !busy.isEmpty else { return .delete(key, in: Tables.appointments) }
    let entries = busy.sorted { ($0.value.lowerBound, $0.key) < ($1.value.lowerBound, $1.key) }
    let item: Item = [
      "id": .string(key.partition), "userId": .string(key.sort),
      "busy": .list(
        entries.map { id, interval in
          .map([
            "id": .string(id), "start": .number(interval.lowerBound.seconds),
            "end": .number(interval.upperBound.seconds),
          ])
        }),
    ]
    return .put(item, in: Tables.appointments)
  }
}
