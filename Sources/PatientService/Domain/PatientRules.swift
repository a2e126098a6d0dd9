internal import CivilTime
internal import ServiceCore

/// The rules for single fields of a patient, on plain values. Source: the table of DOMAIN 2.
///
/// Each returns the value as it is to be stored, or `nil` after having noted what is wrong with it.
enum PatientRules {
  static let maxPhoneLength = 50
  static let maxEmailBytes = 254
  static let maxAgeYears = 150

  /// Allowed characters `+ digits space ( ) - .`; `+` only first; 7 to 15 digits. Stored as given, trimmed.
  static func phone(_ value: String, at field: String, _ violations: inout FieldViolations) -> String? {
    let phone = value.trimmingASCIISpaces
    if phone.isEmpty {
      violations.add(.required, at: field, "A phone number is required.")
    } else if phone.utf8.count > maxPhoneLength {
      violations.add(.tooLong, at: field, "A phone number has at most \(maxPhoneLength) characters.")
    } else if !phone.utf8.enumerated().allSatisfy({ isPhoneCharacter($1, first: $0 == 0) }) {
      violations.add(.malformed, at: field, "A phone number has digits, spaces, ( ) - . and a + only in front.")
    } else if !(7...15).contains(phoneDigits(phone).utf8.count) {
      violations.add(.malformed, at: field, "A phone number has 7 to 15 digits.")
    } else {
      return phone
    }
    return nil
  }

  /// The search key of a phone number.
  static func phoneDigits(_ phone: String) -> String {
    String(decoding: phone.utf8.filter { (0x30...0x39).contains($0) }, as: UTF8.self)
  }

  /// One `@`, a local part, a domain with a dot; stored as given.
  static func email(_ value: String, at field: String, _ violations: inout FieldViolations) -> String? {
    if value.isEmpty {
      violations.add(.required, at: field, "An email address is required.")
    } else if value.utf8.count > maxEmailBytes {
      violations.add(.tooLong, at: field, "An email address has at most \(maxEmailBytes) bytes.")
    } else if !isEmail(value) {
      violations.add(.malformed, at: field, "It is not an email address.")
    } else {
      return value
    }
    return nil
  }

  /// `YYYY-MM-DD`, a real date. Whether a living person can have it is for ``checkBirthDate(_:today:at:_:)``.
  static func birthDate(_ value: String, at field: String, _ violations: inout FieldViolations) -> CivilDate? {
    if value.isEmpty {
      violations.add(.required, at: field, "A date of birth is required.")
      return nil
    }
    guard let date = CivilDate(value) else {
      violations.add(.malformed, at: field, "A date of birth is a real date, YYYY-MM-DD.")
      return nil
    }
    return date
  }

  /// At most today and at least 150 years ago: a rule that needs the clock.
  ///
  /// - Parameter today: in the clinician's zone.
  static func checkBirthDate(
    _ date: CivilDate, today: CivilDate, at field: String, _ violations: inout FieldViolations
  ) {
    if date > today {
      violations.add(.outOfRange, at: field, "A date of birth is not in the future.")
    } else if let earliest = today.adding(months: -12 * maxAgeYears), date < earliest {
      violations.add(.outOfRange, at: field, "A date of birth is at most \(maxAgeYears) years ago.")
    }
  }
}

extension PatientRules {
  private static func isPhoneCharacter(_ byte: UInt8, first: Bool) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: " "), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "-"), UInt8(ascii: "."): true
    case UInt8(ascii: "+"): first
    default: false
    }
  }

  private static func isEmail(_ value: String) -> Bool {
    let scalars = value.unicodeScalars
    guard scalars.allSatisfy({ !$0.properties.isWhitespace && !$0.isControlOrFormat }) else { return false }
    let parts = scalars.split(separator: "@", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else { return false }
    // No empty label: no leading, trailing or double dot.
    let labels = parts[1].split(separator: ".", omittingEmptySubsequences: false)
    return labels.count >= 2 && labels.allSatisfy { !$0.isEmpty }
  }
}

extension String {
  fileprivate var trimmingASCIISpaces: String {
    var bytes = utf8[...].drop { $0 == 0x20 }
    while bytes.last == 0x20 { bytes.removeLast() }
    return String(Substring(bytes))
  }
}
