internal import CivilTime
internal import Contract
internal import Identity
internal import ServiceCore
internal import StandardProtos

extension PatientV1.Patient {
  /// The record as `viewer` may see it: the hash of an invitation's token is for services only, and patients do not see
  /// who made or changed the record. Source: DOMAIN 1 and 2.
  ///
  /// - Parameter today: in the clinician's zone, for the age.
  init(_ record: PatientRecord, viewer: Principal, today: CivilDate) {
    self.init()
    let role = viewer.effectiveCaller.role
    id = record.id
    userId = record.userId
    mrn = record.mrn
    setDetails(record.details)
    status = .init(record.status)
    setAccount(record.account, showsTokenHash: role == .service)
    createdAt = .init(record.createdAt)
    updatedAt = .init(record.updatedAt)
    if role != .patient {
      createdBy = record.createdBy
      updatedBy = record.updatedBy
    }
    version = record.version
    etag = Etag(version: record.version).description
    age = Int32(clamping: record.age(on: today))
  }

  private mutating func setDetails(_ details: PatientDetails) {
    firstName = details.firstName
    lastName = details.lastName
    dateOfBirth = details.dateOfBirth.description
    gender = .init(details.gender)
    phone = details.phone
    email = details.email
    address = details.address.map(PatientV1.Address.init)
    preferredContactMethod = details.preferredContactMethod.map(PatientV1.ContactMethod.init)
  }

  private mutating func setAccount(_ account: PortalAccount, showsTokenHash: Bool) {
    accountStatus = .init(account.status)
    cognitoUserId = account.cognitoUserId
    invitationToken = showsTokenHash ? account.invitationTokenHash : nil
    invitationSentAt = account.invitationSentAt.map(GoogleProtobuf.Timestamp.init)
    invitationExpiresAt = account.invitationExpiresAt.map(GoogleProtobuf.Timestamp.init)
    activatedAt = account.activatedAt.map(GoogleProtobuf.Timestamp.init)
    lastLoginAt = account.lastLoginAt.map(GoogleProtobuf.Timestamp.init)
  }
}

extension PatientV1.Address {
  init(_ address: Address) {
    self.init()
    street = address.street
    city = address.city
    province = address.province
    postalCode = address.postalCode
    country = address.country
  }
}

extension PatientV1.Gender {
  init(_ gender: Gender) {
    self =
      switch gender {
      case .male: .male
      case .female: .female
      case .other: .other
      case .preferNotToSay: .preferNotToSay
      }
  }
}

extension PatientV1.ContactMethod {
  init(_ method: ContactMethod) {
    self =
      switch method {
      case .phone: .phone
      case .email: .email
      case .sms: .sms
      }
  }
}

extension PatientV1.PatientStatus {
  init(_ status: PatientStatus) {
    self =
      switch status {
      case .active: .active
      case .inactive: .inactive
      }
  }
}

extension PatientV1.AccountStatus {
  init(_ status: AccountStatus) {
    self =
      switch status {
      case .pending: .pending
      case .active: .active
      case .inactive: .inactive
      }
  }
}
