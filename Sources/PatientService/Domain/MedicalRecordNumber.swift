internal import CivilTime
internal import ServiceCore

/// The medical record number: unique over all clinicians, immutable. Source: DOMAIN 2.
enum MedicalRecordNumber {
  /// A generated number is tried again with a new value this often.
  static let retries = 16
  /// From this number of collisions on, a generated number has six digits instead of four.
  static let collisionsBeforeMoreDigits = 3

  /// Trims and upper-cases a supplied number, `^[A-Z0-9][A-Z0-9-]{2,31}$`; `nil` after having noted what is wrong.
  static func supplied(_ value: String, at field: String, _ violations: inout FieldViolations) -> String? {
    guard let mrn = canonical(value) else {
      violations.add(.malformed, at: field, "A record number has 3 to 32 letters A-Z, digits and inner hyphens.")
      return nil
    }
    return mrn
  }

  /// The form in which numbers are stored and looked up; `nil` when it cannot be one.
  static func canonical(_ value: String) -> String? {
    var bytes = value.utf8[...].drop { isSpace($0) }
    while let last = bytes.last, isSpace(last) { bytes.removeLast() }
    guard (3...32).contains(bytes.count) else { return nil }
    let upper = bytes.map { (0x61...0x7A).contains($0) ? $0 & ~0x20 : $0 }
    let isLegal = upper.enumerated().allSatisfy { index, byte in
      (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte) || (index > 0 && byte == UInt8(ascii: "-"))
    }
    return isLegal ? String(decoding: upper, as: UTF8.self) : nil
  }

  /// `MRN-YYYYMMDD-dddd`, with the UTC date.
  ///
  /// - Parameter collisions: how many generated numbers were taken already.
  static func generated(at now: Instant, collisions: Int, random: RandomSource) -> String {
    let digits = collisions < collisionsBeforeMoreDigits ? 4 : 6
    let date = (CivilDate(dayNumber: now.utcDayNumber) ?? .first).description.filter { $0 != "-" }
    var random = random
    let number = (0..<digits).map { _ in String(Int.random(in: 0...9, using: &random)) }.joined()
    return "MRN-\(date)-\(number)"
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
