internal import CivilTime
internal import Contract
internal import ServiceCore
internal import StandardProtos

/// What an UpdatePatient changes: the masked fields with their new values. Source: DOMAIN 2, "Updatable paths".
struct PatientUpdate: Sendable {
  private let patient: PatientV1.Patient
  /// Names of top-level fields and members of the address.
  private let paths: Set<String>
  private var changes: [@Sendable (inout PatientDetails) -> Void] = []
  private var dateOfBirth: CivilDate?

  /// Checks what can be checked without the record and the clock.
  ///
  /// Without a mask, all updatable fields that are populated are meant.
  /// - Returns: `nil` after having noted everything that is wrong.
  init?(
    _ patient: PatientV1.Patient?, mask: GoogleProtobuf.FieldMask?, _ violations: inout FieldViolations
  ) {
    guard let patient else {
      violations.add(.required, at: "patient", "A patient is required.")
      return nil
    }
    self.patient = patient
    let named = mask?.paths ?? []
    paths = named.isEmpty ? Self.populated(in: patient) : Set(named)
    if paths.isEmpty { violations.add(.required, at: "update_mask", "There is nothing to change.") }
    let before = violations.all.count
    for (index, path) in named.enumerated() { Self.checkPath(path, index, &violations) }
    addChanges(&violations)
    if violations.all.count > before || paths.isEmpty { return nil }
  }

  /// - Parameter today: in the clinician's zone.
  func checkClock(today: CivilDate, _ violations: inout FieldViolations) {
    guard let dateOfBirth else { return }
    PatientRules.checkBirthDate(dateOfBirth, today: today, at: "patient.date_of_birth", &violations)
  }

  /// Applies it, and notes what is wrong in view of the record.
  func apply(to record: inout PatientRecord, _ violations: inout FieldViolations) {
    if paths.contains("mrn"), MedicalRecordNumber.canonical(patient.mrn) != record.mrn {
      violations.add(.immutable, at: "patient.mrn", "A record number never changes.")
    }
    for change in changes { change(&record.details) }
    if let address = mergedAddress(with: record.details.address) {
      record.details.address = Address(address, at: Self.addressPath, &violations) ?? record.details.address
    }
  }
}

extension PatientUpdate {
  private static let updatable: Set<String> = [
    "first_name", "last_name", "date_of_birth", "gender", "phone", "email", "address", "preferred_contact_method",
  ]
  private static let addressMembers: Set<String> = [
    "address.street", "address.city", "address.province", "address.postal_code", "address.country",
  ]
  private static let notUpdatable: Set<String> = [
    "id", "user_id", "status", "cognito_user_id", "account_status", "invitation_token", "invitation_sent_at",
    "invitation_expires_at", "activated_at", "last_login_at", "created_at", "updated_at", "created_by", "updated_by",
    "version", "etag", "age",
  ]
  private static let addressPath = FieldPath("patient.address")

  private static func checkPath(_ path: String, _ index: Int, _ violations: inout FieldViolations) {
    if path == "mrn" || updatable.contains(path) || addressMembers.contains(path) { return }
    let field = FieldPath("update_mask").child("paths")[index].description
    if notUpdatable.contains(path) {
      violations.add(.notUpdatable, at: field, "This field is not changed by an update.")
    } else {
      violations.add(.unknownField, at: field, "A patient has no such field.")
    }
  }

  private static func populated(in patient: PatientV1.Patient) -> Set<String> {
    var paths = Set<String>()
    if !patient.mrn.isEmpty { paths.insert("mrn") }
    if !patient.firstName.isEmpty { paths.insert("first_name") }
    if !patient.lastName.isEmpty { paths.insert("last_name") }
    if !patient.dateOfBirth.isEmpty { paths.insert("date_of_birth") }
    if patient.gender != .unspecified { paths.insert("gender") }
    if !patient.phone.isEmpty { paths.insert("phone") }
    if !patient.email.isEmpty { paths.insert("email") }
    if patient.address != nil { paths.insert("address") }
    if patient.preferredContactMethod != nil { paths.insert("preferred_contact_method") }
    // A record number alone is nothing to change.
    return paths == ["mrn"] ? [] : paths
  }

  /// Validates the masked fields with the rules of a new patient.
  private mutating func addChanges(_ violations: inout FieldViolations) {
    let path = FieldPath("patient")
    if paths.contains("first_name"),
      let name = violations.text(patient.firstName, .name, at: path.field("first_name"))
    {
      changes.append { $0.firstName = name }
    }
    if paths.contains("last_name"), let name = violations.text(patient.lastName, .name, at: path.field("last_name")) {
      changes.append { $0.lastName = name }
    }
    if paths.contains("date_of_birth"),
      let date = PatientRules.birthDate(patient.dateOfBirth, at: path.field("date_of_birth"), &violations)
    {
      dateOfBirth = date
      changes.append { $0.dateOfBirth = date }
    }
    if paths.contains("gender"), let gender = Gender(patient.gender, at: path.field("gender"), &violations) {
      changes.append { $0.gender = gender }
    }
    if paths.contains("phone"), let phone = PatientRules.phone(patient.phone, at: path.field("phone"), &violations) {
      changes.append { $0.phone = phone }
    }
    if paths.contains("email"), let email = PatientRules.email(patient.email, at: path.field("email"), &violations) {
      changes.append { $0.email = email }
    }
    if paths.contains("preferred_contact_method"),
      let method = ContactMethod(
        patient.preferredContactMethod, at: path.field("preferred_contact_method"), &violations)
    {
      changes.append { $0.preferredContactMethod = method }
    }
    if paths.contains("address") { addAddressChange(&violations) }
  }

  private mutating func addAddressChange(_ violations: inout FieldViolations) {
    guard let message = patient.address else {
      changes.append { $0.address = nil }
      return
    }
    if let address = Address(message, at: Self.addressPath, &violations) { changes.append { $0.address = address } }
  }

  /// The stored address with the masked members replaced; `nil` when no member is masked, or the whole address is.
  private func mergedAddress(with stored: Address?) -> PatientV1.Address? {
    let members = paths.intersection(Self.addressMembers)
    if members.isEmpty || paths.contains("address") { return nil }
    var merged = stored.map(PatientV1.Address.init) ?? PatientV1.Address()
    let given = patient.address ?? PatientV1.Address()
    if members.contains("address.street") { merged.street = given.street }
    if members.contains("address.city") { merged.city = given.city }
    if members.contains("address.province") { merged.province = given.province }
    if members.contains("address.postal_code") { merged.postalCode = given.postalCode }
    if members.contains("address.country") { merged.country = given.country }
    return merged
  }
}
