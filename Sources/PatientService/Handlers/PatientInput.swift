internal import CivilTime
internal import Contract
internal import ServiceCore

/// A patient to be registered, with all rules of DOMAIN 2 that need no clock.
struct NewPatient: Sendable, Hashable {
  /// As supplied; `nil`: to be generated.
  let mrn: String?
  let details: PatientDetails

  /// - Returns: `nil` after having noted everything that is wrong. Output-only fields are not looked at.
  init?(_ patient: PatientV1.Patient?, at path: FieldPath, _ violations: inout FieldViolations) {
    guard let patient else {
      violations.add(.required, at: path.description, "A patient is required.")
      return nil
    }
    let mrn =
      patient.mrn.isEmpty ? nil : MedicalRecordNumber.supplied(patient.mrn, at: path.field("mrn"), &violations)
    let details = PatientDetails(patient, at: path, &violations)
    guard let details, patient.mrn.isEmpty || mrn != nil else { return nil }
    self.mrn = mrn
    self.details = details
  }
}

extension PatientDetails {
  /// - Returns: `nil` after having noted everything that is wrong.
  init?(_ patient: PatientV1.Patient, at path: FieldPath, _ violations: inout FieldViolations) {
    let firstName = violations.text(patient.firstName, .name, at: path.field("first_name"))
    let lastName = violations.text(patient.lastName, .name, at: path.field("last_name"))
    let birth = PatientRules.birthDate(patient.dateOfBirth, at: path.field("date_of_birth"), &violations)
    let gender = Gender(patient.gender, at: path.field("gender"), &violations)
    let phone = PatientRules.phone(patient.phone, at: path.field("phone"), &violations)
    let email = PatientRules.email(patient.email, at: path.field("email"), &violations)
    let address = patient.address.map { Address($0, at: path.child("address"), &violations) }
    let method = ContactMethod(
      patient.preferredContactMethod, at: path.field("preferred_contact_method"), &violations)
    guard let firstName, let lastName, let birth, let gender, let phone, let email, let method else { return nil }
    if case .some(nil) = address { return nil }
    self.init(
      firstName: firstName, lastName: lastName, dateOfBirth: birth, gender: gender, phone: phone, email: email,
      address: address ?? nil, preferredContactMethod: method)
  }
}

extension Address {
  /// All five members are required. - Returns: `nil` after having noted everything that is wrong.
  init?(_ address: PatientV1.Address, at path: FieldPath, _ violations: inout FieldViolations) {
    let street = violations.text(address.street, .addressMember, at: path.field("street"))
    let city = violations.text(address.city, .addressMember, at: path.field("city"))
    let province = violations.text(address.province, .addressMember, at: path.field("province"))
    let postalCode = violations.text(address.postalCode, .addressMember, at: path.field("postal_code"))
    let country = violations.text(address.country, .addressMember, at: path.field("country"))
    guard let street, let city, let province, let postalCode, let country else { return nil }
    self.init(street: street, city: city, province: province, postalCode: postalCode, country: country)
  }
}

extension Gender {
  /// Required. - Returns: `nil` after having noted what is wrong.
  init?(_ gender: PatientV1.Gender, at field: String, _ violations: inout FieldViolations) {
    switch gender {
    case .male: self = .male
    case .female: self = .female
    case .other: self = .other
    case .preferNotToSay: self = .preferNotToSay
    case .unspecified:
      violations.add(.required, at: field, "A gender is required.")
      return nil
    default:
      violations.add(.outOfRange, at: field, "It is none of the genders of the contract.")
      return nil
    }
  }
}

extension ContactMethod {
  /// Optional; the default is email. - Returns: `nil` after having noted what is wrong.
  init?(_ method: PatientV1.ContactMethod?, at field: String, _ violations: inout FieldViolations) {
    switch method {
    case .phone?: self = .phone
    case .email?, .unspecified?, nil: self = .email
    case .sms?: self = .sms
    default:
      violations.add(.outOfRange, at: field, "It is none of the contact methods of the contract.")
      return nil
    }
  }
}
