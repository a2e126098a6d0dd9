internal import CivilTime

/// A patient as this service knows it: a pure value, without wire or store.
///
/// Source: DOMAIN 2 and the table Patients of database-schema.md.
struct PatientRecord: Sendable, Hashable {
  /// UUID in canonical lower case.
  let id: String
  /// The clinician who owns the record: the partition.
  let userId: String
  /// Unique over all clinicians, immutable.
  let mrn: String
  var details: PatientDetails
  var status: PatientStatus
  var account: PortalAccount
  let createdAt: Instant
  let createdBy: String
  /// Strictly increasing.
  var updatedAt: Instant
  var updatedBy: String
  /// 1 at creation, one more with each successful mutation.
  var version: Int64
}

/// What clinicians may change.
struct PatientDetails: Sendable, Hashable {
  var firstName: String
  var lastName: String
  var dateOfBirth: CivilDate
  var gender: Gender
  var phone: String
  var email: String
  var address: Address?
  /// `nil` only in records that were taken over without one.
  var preferredContactMethod: ContactMethod?
}

struct Address: Sendable, Hashable {
  var street: String
  var city: String
  var province: String
  var postalCode: String
  var country: String
}

/// Raw values are the document's.
enum Gender: String, Sendable, Hashable, CaseIterable {
  case male, female, other
  case preferNotToSay = "prefer-not-to-say"
}

/// Raw values are the document's.
enum ContactMethod: String, Sendable, Hashable, CaseIterable {
  case phone, email, sms
}

/// Raw values are the document's.
enum PatientStatus: String, Sendable, Hashable, CaseIterable {
  case active, inactive
}

/// Raw values are the document's.
enum AccountStatus: String, Sendable, Hashable, CaseIterable {
  case pending, active, inactive
}

/// The patient's account at the portal. Source: DOMAIN 3.
struct PortalAccount: Sendable, Hashable {
  var status: AccountStatus = .pending
  /// The linked portal identity: the subject of its tokens.
  var cognitoUserId: String?
  /// Hash of the live invitation's token, hex; the token itself is never kept.
  var invitationTokenHash: String?
  var invitationSentAt: Instant?
  var invitationExpiresAt: Instant?
  var activatedAt: Instant?
  var lastLoginAt: Instant?
}

extension PatientRecord {
  /// A new record: in care, its account not activated yet.
  init(id: String, userId: String, mrn: String, details: PatientDetails, by actor: String, at now: Instant) {
    self.init(
      id: id, userId: userId, mrn: mrn, details: details, status: .active, account: PortalAccount(), createdAt: now,
      createdBy: actor, updatedAt: now, updatedBy: actor, version: 1)
  }

  /// Notes a change: one version more, and an instant later than the one before even if the clock was set back.
  mutating func touch(by actor: String, at now: Instant) {
    version += 1
    updatedAt = max(now, updatedAt.adding(microseconds: 1))
    updatedBy = actor
  }

  /// Whether the portal identity may see the record: linked, in care, and activated. Source: DOMAIN 1.
  func isVisible(toIdentity identity: String) -> Bool {
    status == .active && account.status == .active && account.cognitoUserId == identity
  }

  /// Completed years of age; somebody born on 29 February completes a year on 1 March of a common year.
  func age(on today: CivilDate) -> Int { max(0, details.dateOfBirth.completedYears(at: today)) }
}
