import Testing

@testable import CivilTime

@Suite("Civil dates and times of day")
struct CivilDateTests {
  @Test(
    "a date is read only in its one form and only if it exists",
    arguments: [
      "2025-02-29", "1900-02-29", "2025-04-31", "2025-13-01", "2025-00-10", "2025-01-00", "0000-01-01", "2025-1-01",
      "25-01-01", "2025-01-01 ", " 2025-01-01", "2025/01/01", "+025-01-01", "２０２５-01-01", "", "2025-01-01T00:00",
      "10000-01-01",
    ])
  func refused(text: String) {
    #expect(CivilDate(text) == nil)
  }

  @Test(
    "a date that exists is written as it was read",
    arguments: [
      "0001-01-01", "1900-02-28", "2000-02-29", "2024-02-29", "9999-12-31", "1970-01-01",
    ])
  func accepted(text: String) {
    #expect(CivilDate(text)?.description == text)
  }

  @Test(
    "day numbers and weekdays agree with known days",
    arguments: [
      ("0001-01-01", -719_162, Weekday.monday), ("1970-01-01", 0, .thursday), ("2000-02-29", 11_016, .tuesday),
      ("2025-12-10", 20_432, .wednesday), ("9999-12-31", 2_932_896, .friday), ("1600-03-01", -135_080, .wednesday),
    ])
  func knownDays(text: String, number: Int, weekday: Weekday) throws {
    let date = try #require(CivilDate(text))
    #expect(date.dayNumber == number)
    #expect(date.weekday == weekday)
    #expect(CivilDate(dayNumber: number) == date)
  }

  @Test("walking day by day through 400 years counts every day once")
  func walk() throws {
    var date = try #require(CivilDate(year: 1899, month: 12, day: 31))
    var weekday = date.weekday.rawValue
    for number in (date.dayNumber + 1)...(date.dayNumber + 146_097) {
      let next = try #require(CivilDate(dayNumber: number))
      weekday = weekday % 7 + 1
      #expect(next.dayNumber == number && next > date && next.weekday.rawValue == weekday)
      #expect(next.day == 1 || (next.day == date.day + 1 && next.month == date.month))
      date = next
    }
    #expect(date.description == "2299-12-31")
  }

  @Test("adding days and months ends at the calendar's bounds")
  func bounds() {
    #expect(CivilDate.first.adding(days: -1) == nil)
    #expect(CivilDate.last.adding(days: 1) == nil)
    #expect(CivilDate.last.adding(days: .max) == nil)
    #expect(CivilDate.last.adding(months: 1) == nil)
    #expect(CivilDate.first.adding(months: -1) == nil)
    #expect(CivilDate.first.adding(months: .min) == nil)
  }

  @Test(
    "adding months keeps the day or takes the last of the month",
    arguments: [
      ("2025-08-31", 6, "2026-02-28"), ("2023-08-31", 6, "2024-02-29"), ("2024-02-29", 12, "2025-02-28"),
      ("2025-01-15", -1, "2024-12-15"), ("2025-03-31", -1, "2025-02-28"),
    ])
  func months(start: String, months: Int, result: String) throws {
    #expect(try #require(CivilDate(start)).adding(months: months)?.description == result)
  }

  @Test(
    "a leap day's child completes a year on 1 March of common years",
    arguments: [
      ("2004-02-29", "2025-02-28", 20), ("2004-02-29", "2025-03-01", 21), ("2004-02-29", "2024-02-29", 20),
      ("1980-01-15", "2025-01-15", 45), ("1980-01-15", "2025-01-14", 44),
    ])
  func completedYears(birth: String, today: String, years: Int) throws {
    let (birth, today) = (try #require(CivilDate(birth)), try #require(CivilDate(today)))
    #expect(birth.completedYears(at: today) == years)
  }

  @Test(
    "a time of day is read only as HH:MM",
    arguments: [
      "9:05", "24:00", "14:00:00", "14:60", "23:5", "2359", " 9:05", "-1:00", "", "１４:00",
    ])
  func refusedTimes(text: String) {
    #expect(CivilTimeOfDay(text) == nil)
  }

  @Test("24:00 is read where the end of a day is allowed")
  func endOfDay() {
    #expect(CivilTimeOfDay("24:00", allowingEndOfDay: true) == .endOfDay)
    #expect(CivilTimeOfDay("24:01", allowingEndOfDay: true) == nil)
    #expect(CivilTimeOfDay("00:00")?.minutes == 0)
    #expect(CivilTimeOfDay("23:59")?.minutes == 1439)
    #expect(CivilTimeOfDay("09:05")?.description == "09:05")
  }
}
