internal import CivilTime

/// One occurrence of a time block.
struct BlockOccurrence: Sendable, Hashable {
  /// Its place in a list: by local date, local start and id.
  struct Position: Sendable, Hashable, Comparable {
    var date: CivilDate
    var start: CivilTimeOfDay
    var id: String

    static func < (lhs: Self, rhs: Self) -> Bool { (lhs.date, lhs.start, lhs.id) < (rhs.date, rhs.start, rhs.id) }
  }

  var position: Position
  /// What it covers; never empty.
  var intervals: [Range<Instant>]
}

extension BlockOccurrence.Position {
  var parts: [String] { [date.description, start.description, id] }

  init?(_ parts: [String]) {
    guard parts.count == 3, let date = CivilDate(parts[0]), let start = CivilTimeOfDay(parts[1]) else { return nil }
    self.init(date: date, start: start, id: parts[2])
  }
}

/// The occurrences of some blocks in a window of dates, of which a page at a time is made.
struct OccurrenceList: Sendable {
  var blocks: [(block: LiveBlock, zone: TimeZoneRules)]
  var window: ClosedRange<CivilDate>
  var descending: Bool

  /// The next `count` occurrences. Goes date by date, so that it never holds more than those and one date's.
  func next(_ count: Int, after position: BlockOccurrence.Position?) -> [BlockOccurrence] {
    var found: [BlockOccurrence] = []
    let days = Array(window.lowerBound.dayNumber...window.upperBound.dayNumber)
    for day in descending ? days.reversed() : days {
      guard found.count < count, let date = CivilDate(dayNumber: day) else { break }
      if let position, descending ? date > position.date : date < position.date { continue }
      let ordered = occurrences(on: date).sorted { descending ? $1.position < $0.position : $0.position < $1.position }
      found += ordered.filter { occurrence in
        guard let position else { return true }
        return descending ? occurrence.position < position : position < occurrence.position
      }
    }
    return Array(found.prefix(count))
  }

  /// Where the clocks skip all of a block's time it does not occur (DOMAIN 5, "Time semantics").
  private func occurrences(on date: CivilDate) -> [BlockOccurrence] {
    blocks.compactMap { block, zone in
      guard block.rule.occurs(on: date) else { return nil }
      let intervals = block.rule.intervals(on: date, rules: zone)
      guard !intervals.isEmpty else { return nil }
      let position = BlockOccurrence.Position(date: date, start: block.rule.start, id: block.id)
      return BlockOccurrence(position: position, intervals: intervals)
    }
  }
}
