internal import Contract
internal import ServiceCore
internal import StandardProtos

/// Which fields of a patient to answer. `id`, `user_id`, `version` and `etag` are always answered.
struct PatientReadMask: Sendable {
  /// `nil`: all.
  private let paths: Set<String>?

  /// Notes a violation for each path that is not a field of the patient.
  init(_ mask: GoogleProtobuf.FieldMask?, at field: String, _ violations: inout FieldViolations) {
    guard let mask, !mask.paths.isEmpty else {
      paths = nil
      return
    }
    paths = Set(mask.paths)
    for (index, path) in mask.paths.enumerated() where Self.copies[path] == nil && !Self.always.contains(path) {
      violations.add(
        .unknownField, at: FieldPath(field).child("paths")[index].description, "A patient has no such field.")
    }
  }

  /// All fields that a mask can name.
  static var fields: Set<String> { Set(copies.keys).union(always) }

  func apply(to patient: PatientV1.Patient) -> PatientV1.Patient {
    guard let paths else { return patient }
    var masked = PatientV1.Patient()
    masked.id = patient.id
    masked.userId = patient.userId
    masked.version = patient.version
    masked.etag = patient.etag
    for path in paths { Self.copies[path]?(patient, &masked) }
    return masked
  }
}

extension PatientReadMask {
  private typealias Copy = @Sendable (PatientV1.Patient, inout PatientV1.Patient) -> Void

  private static let always: Set<String> = ["id", "user_id", "version", "etag"]

  private static let copies: [String: Copy] = [
    "mrn": { $1.mrn = $0.mrn },
    "first_name": { $1.firstName = $0.firstName },
    "last_name": { $1.lastName = $0.lastName },
    "date_of_birth": { $1.dateOfBirth = $0.dateOfBirth },
    "gender": { $1.gender = $0.gender },
    "phone": { $1.phone = $0.phone },
    "email": { $1.email = $0.email },
    "address": { $1.address = $0.address },
    "address.street": member { $1.street = $0.street },
    "address.city": member { $1.city = $0.city },
    "address.province": member { $1.province = $0.province },
    "address.postal_code": member { $1.postalCode = $0.postalCode },
    "address.country": member { $1.country = $0.country },
    "preferred_contact_method": { $1.preferredContactMethod = $0.preferredContactMethod },
    "status": { $1.status = $0.status },
    "cognito_user_id": { $1.cognitoUserId = $0.cognitoUserId },
    "account_status": { $1.accountStatus = $0.accountStatus },
    "invitation_token": { $1.invitationToken = $0.invitationToken },
    "invitation_sent_at": { $1.invitationSentAt = $0.invitationSentAt },
    "invitation_expires_at": { $1.invitationExpiresAt = $0.invitationExpiresAt },
    "activated_at": { $1.activatedAt = $0.activatedAt },
    "last_login_at": { $1.lastLoginAt = $0.lastLoginAt },
    "created_at": { $1.createdAt = $0.createdAt },
    "updated_at": { $1.updatedAt = $0.updatedAt },
    "created_by": { $1.createdBy = $0.createdBy },
    "updated_by": { $1.updatedBy = $0.updatedBy },
    "age": { $1.age = $0.age },
  ]

  /// Copies one member of the address, if there is one.
  private static func member(
    _ copy: @escaping @Sendable (PatientV1.Address, inout PatientV1.Address) -> Void
  ) -> Copy {
    { patient, masked in
      guard let address = patient.address else { return }
      var copied = masked.address ?? PatientV1.Address()
      copy(address, &copied)
      masked.address = copied
    }
  }
}
