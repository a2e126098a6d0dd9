package import Identity
package import RPC

/// The partition in which a call works: one clinician's records, and who acts there.
///
/// Source: DOMAIN 1. The role table itself is checked before the handler; here the roles are checked again, so that
/// a handler is safe on its own.
package struct ClinicianScope: Sendable, Hashable {
  /// The clinician whose records these are.
  package let userId: String
  /// Who makes the change: for `created_by`, `updated_by`, `changed_by`. A service that carries its caller acts as
  /// that caller.
  package let actor: String
  /// The portal identity to which a record must be linked to be visible; `nil` where the partition alone decides.
  package let linkedIdentity: String?

  /// The longest `user_id` that a request may name.
  package static let maxUserIdBytes = 128

  /// Decides in whose partition `principal` works.
  ///
  /// - Parameters:
  ///   - requested: the `user_id` of the request. Empty means the caller where that is a clinician; delegates,
  ///     patients and services must name one, otherwise a violation is noted (and the result must not be used).
  ///   - roles: who may call.
  /// - Throws: `PERMISSION_DENIED`: `ROLE_NOT_ALLOWED`, or `PARTITION_NOT_ALLOWED` for a clinician for whom the
  ///   caller may not act.
  package init(
    requested: String, principal: Principal, roles: Set<Principal.Role> = [.clinician, .delegate],
    errors: ServiceErrors, violations: inout FieldViolations
  ) throws(RPCError) {
    guard roles.contains(principal.role) else { throw errors.roleNotAllowed() }
    let caller = principal.effectiveCaller
    actor = caller.id
    linkedIdentity = caller.role == .patient ? caller.id : nil
    if requested.isEmpty, principal.role == .clinician {
      userId = principal.id
      return
    }
    userId = requested
    if requested.isEmpty {
      violations.add(.required, at: "user_id", "The clinician must be named.")
    } else if !caller.mayEnter(partition: requested) {
      throw errors.partitionNotAllowed()
    } else if requested.utf8.count > Self.maxUserIdBytes {
      violations.add(.tooLong, at: "user_id", "A clinician's id has at most \(Self.maxUserIdBytes) bytes.")
    }
  }
}

extension Principal {
  /// The person a service acts for, otherwise the principal itself.
  package var effectiveCaller: Caller { onBehalfOf ?? Caller(id: id, role: role, actsFor: actsFor) }
}

extension Principal.Caller {
  /// Whether the caller may see anything at all in a clinician's partition. A patient may, where a record there is
  /// linked to its identity: that is for the record to say (``ClinicianScope/linkedIdentity``).
  package func mayEnter(partition userId: String) -> Bool {
    switch role {
    case .clinician: userId == id
    case .delegate: actsFor.contains(userId)
    case .patient, .service: true
    }
  }
}
