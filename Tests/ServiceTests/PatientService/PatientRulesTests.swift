import CivilTime
import Contract
import ServiceCore
import ServiceTestSupport
import Testing

@testable import PatientService

@Suite("Fields of a patient (DOMAIN 2)")
struct PatientRulesTests {
  private func violations(_ edit: (inout PatientV1.Patient) -> Void) -> [String] {
    var violations = FieldViolations()
    _ = NewPatient(.valid(edit), at: FieldPath("patient"), &violations)
    return violations.all.map { "\($0.field.dropFirst("patient.".count)) \($0.reason)" }
  }

  @Test("a patient with legal fields breaks no rule")
  func valid() {
    #expect(violations { _ in } == [])
  }

  @Test("everything that is wrong is told at once, in the order of the fields")
  func everything() {
    var all = FieldViolations()
    var patient = PatientV1.Patient()
    patient.mrn = "!"
    patient.address = PatientV1.Address()
    patient.preferredContactMethod = .init(rawValue: 9)
    #expect(NewPatient(patient, at: FieldPath("patient"), &all) == nil)
    #expect(
      all.all.map { "\($0.field) \($0.reason)" } == [
        "patient.mrn MALFORMED", "patient.first_name REQUIRED", "patient.last_name REQUIRED",
        "patient.date_of_birth REQUIRED", "patient.gender REQUIRED", "patient.phone REQUIRED",
        "patient.email REQUIRED", "patient.address.street REQUIRED", "patient.address.city REQUIRED",
        "patient.address.province REQUIRED", "patient.address.postal_code REQUIRED",
        "patient.address.country REQUIRED", "patient.preferred_contact_method OUT_OF_RANGE",
      ])
  }

  @Test("an absent patient is one violation")
  func absent() {
    var all = FieldViolations()
    #expect(NewPatient(nil, at: FieldPath("patient"), &all) == nil)
    #expect(all.all.map(\.field) == ["patient"])
  }

  @Test(
    "legal phone numbers",
    arguments: ["1234567", "123456789012345", "+14165551234", "+1 (416) 555-1234", "416.555.1234", "(0) 30 - 12345"])
  func phones(phone: String) {
    #expect(violations { $0.phone = "  \(phone) " } == [])
  }

  @Test(
    "illegal phone numbers",
    arguments: [
      ("", "REQUIRED"), ("   ", "REQUIRED"), ("123456", "MALFORMED"), ("1234567890123456", "MALFORMED"),
      ("1+4165551234", "MALFORMED"), ("++14165551234", "MALFORMED"), ("416/5551234", "MALFORMED"),
      ("416555123x", "MALFORMED"), ("٤١٦٥٥٥١٢٣٤", "MALFORMED"), ("416\t5551234", "MALFORMED"),
      ("1234567" + String(repeating: " ", count: 50) + "8", "TOO_LONG"),
    ])
  func badPhones(phone: String, reason: String) {
    #expect(violations { $0.phone = phone } == ["phone \(reason)"])
  }

  @Test(
    "legal email addresses",
    arguments: [
      "a@b.c", "John.Doe+x@Example.com", "üser@exämple.de", "a@" + String(repeating: "b", count: 250) + ".c",
    ])
  func emails(email: String) {
    #expect(violations { $0.email = email } == [])
  }

  @Test(
    "illegal email addresses",
    arguments: [
      ("", "REQUIRED"), ("ab.c", "MALFORMED"), ("a@b@c.d", "MALFORMED"), ("@b.c", "MALFORMED"), ("a@b", "MALFORMED"),
      ("a@.b.c", "MALFORMED"), ("a@b.c.", "MALFORMED"), ("a@b..c", "MALFORMED"), ("a @b.c", "MALFORMED"),
      (" a@b.c", "MALFORMED"), ("a@b.c\n", "MALFORMED"), ("a\0@b.c", "MALFORMED"), ("a\u{202E}@b.c", "MALFORMED"),
      ("a@", "MALFORMED"), ("a@" + String(repeating: "b", count: 251) + ".c", "TOO_LONG"),
    ])
  func badEmails(email: String, reason: String) {
    #expect(violations { $0.email = email } == ["email \(reason)"])
  }

  @Test(
    "dates of birth are real dates in one form",
    arguments: [
      ("", "REQUIRED"), ("1980-1-15", "MALFORMED"), ("15/01/1980", "MALFORMED"), ("1900-02-29", "MALFORMED"),
      ("2025-04-31", "MALFORMED"), ("1980-01-15T00:00:00Z", "MALFORMED"),
    ])
  func badDates(date: String, reason: String) {
    #expect(violations { $0.dateOfBirth = date } == ["date_of_birth \(reason)"])
  }

  @Test("29 February exists in 2000")
  func leapDay() {
    #expect(violations { $0.dateOfBirth = "2000-02-29" } == [])
  }

  @Test("genders of the contract, and no others")
  func genders() {
    for gender in [PatientV1.Gender.male, .female, .other, .preferNotToSay] {
      #expect(violations { $0.gender = gender } == [])
    }
    #expect(violations { $0.gender = .unspecified } == ["gender REQUIRED"])
    #expect(violations { $0.gender = .init(rawValue: 5) } == ["gender OUT_OF_RANGE"])
    #expect(violations { $0.gender = .init(rawValue: -1) } == ["gender OUT_OF_RANGE"])
  }

  @Test("members of an address have at most 200 scalars")
  func address() {
    func address(_ street: String) -> PatientV1.Address {
      var address = PatientV1.Address()
      (address.street, address.city, address.province) = (street, "Toronto", "ON")
      (address.postalCode, address.country) = ("M1A 1A1", "Canada")
      return address
    }
    #expect(violations { $0.address = address(String(repeating: "ä", count: 200)) } == [])
    #expect(violations { $0.address = address(String(repeating: "ä", count: 201)) } == ["address.street TOO_LONG"])
    #expect(violations { $0.address = address("  ") } == ["address.street REQUIRED"])
  }

  @Test(
    "supplied record numbers are trimmed and upper-cased",
    arguments: [
      ("mrn-12345", "MRN-12345"), ("  A1b  ", "A1B"), ("9--", "9--"),
      (String(repeating: "a", count: 32), String(repeating: "A", count: 32)),
    ])
  func mrns(mrn: String, expected: String) {
    #expect(MedicalRecordNumber.canonical(mrn) == expected)
  }

  @Test(
    "illegal record numbers",
    arguments: ["AB", "-AB", "A B", "A_B", "ÄBC", "ſss", "A\u{0}BC", String(repeating: "A", count: 33), "   "])
  func badMrns(mrn: String) {
    #expect(violations { $0.mrn = mrn } == ["mrn MALFORMED"])
  }

  @Test("a generated record number has the UTC date and four digits, six after three collisions")
  func generated() throws {
    let now = try #require(Instant("2026-03-14T23:59:59.5Z"))
    for collisions in 0...16 {
      let mrn = MedicalRecordNumber.generated(at: now, collisions: collisions, random: .seeded(UInt64(collisions)))
      #expect(mrn.hasPrefix("MRN-20260314-"))
      let digits = mrn.dropFirst(13)
      #expect(digits.count == (collisions < 3 ? 4 : 6))
      #expect(digits.utf8.allSatisfy { (0x30...0x39).contains($0) })
      #expect(MedicalRecordNumber.canonical(mrn) == mrn)
    }
  }

  @Test(
    "age is counted in completed years (DOMAIN 2)",
    arguments: [
      ("1980-01-15", "2026-01-14", 45), ("1980-01-15", "2026-01-15", 46), ("2026-03-14", "2026-03-14", 0),
      ("2000-02-29", "2025-02-28", 24), ("2000-02-29", "2025-03-01", 25), ("2000-02-29", "2024-02-29", 24),
      ("2026-03-15", "2026-03-14", 0),
    ])
  func age(birth: String, today: String, years: Int) async throws {
    let fixture = try PatientFixture()
    let id = try await fixture.create().id
    var record = try #require(try await fixture.handlers.patients.patient(id: id, userId: "clinician-1"))
    record.details.dateOfBirth = try #require(CivilDate(birth))
    #expect(record.age(on: try #require(CivilDate(today))) == years)
  }
}
