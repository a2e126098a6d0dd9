import RPC
import ServiceTestSupport
import Storage
import Testing

@testable import ServiceCore

@Suite("Statuses and reasons (DOMAIN 10)")
struct ErrorTests {
  private let errors = ServiceErrors(domain: .patient)

  /// The rows of DOMAIN 10's table.
  @Test(
    "each reason has its code",
    arguments: [
      (StatusCode.unauthenticated, ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "CREDENTIALS_EXPIRED"]),
      (.permissionDenied, ["ROLE_NOT_ALLOWED", "PARTITION_NOT_ALLOWED"]),
      (.invalidArgument, ["VALIDATION_FAILED", "REQUEST_ID_REUSED", "CHANGE_TOKEN_INVALID"]),
      (.notFound, ["PATIENT_NOT_FOUND", "APPOINTMENT_NOT_FOUND", "TIME_BLOCK_NOT_FOUND", "INVITATION_NOT_FOUND"]),
      (.alreadyExists, ["MRN_ALREADY_EXISTS", "TRANSCRIPTION_ALREADY_LINKED"]),
      (
        .failedPrecondition,
        [
          "SLOT_CONFLICT", "BLOCK_CONFLICTS_WITH_APPOINTMENTS", "INVALID_STATUS_TRANSITION", "PATIENT_INACTIVE",
          "PATIENT_ALREADY_ACTIVE", "ACCOUNT_ALREADY_ACTIVE", "ACCOUNT_INACTIVE", "INVITATION_EXPIRED",
          "APPOINTMENT_IN_PAST", "CHANGE_TOKEN_EXPIRED",
        ]
      ),
      (.aborted, ["ETAG_MISMATCH", "CONTENTION"]),
      (.unavailable, ["PATIENT_SERVICE_UNAVAILABLE", "STORE_UNAVAILABLE", "DRAINING"]),
      (.resourceExhausted, ["MESSAGE_TOO_LARGE", "RATE_LIMITED", "OVERLOADED"]),
      (.dataLoss, ["RECORD_CORRUPT"]),
      (.internal, ["INTERNAL"]),
    ])
  func codes(code: StatusCode, reasons: [String]) throws {
    for text in reasons {
      let reason = try #require(ErrorReason(rawValue: text))
      #expect(reason.code == code)
    }
  }

  @Test("no reason is missing from the table above")
  func completeness() {
    #expect(ErrorReason.allCases.count == 34)
  }

  @Test("every status has an ErrorInfo with the service's domain first")
  func errorInfo() {
    let error = ServiceErrors(domain: .appointment).make(.slotConflict, "Busy.", metadata: ["conflict_count": "2"])
    #expect(
      error.details.first
        == .errorInfo(
          reason: "SLOT_CONFLICT", domain: "appointment.clinicavoice", metadata: ["conflict_count": "2"]))
  }

  @Test(
    "the store's errors become statuses",
    arguments: [
      (StoreError.conflict, "ABORTED CONTENTION", false),
      (.conditionFailed([0]), "ABORTED CONTENTION", false),
      (.unavailable("disk full"), "UNAVAILABLE STORE_UNAVAILABLE", true),
      (.overloaded, "RESOURCE_EXHAUSTED OVERLOADED", true),
      (.corrupt("page 3"), "DATA_LOSS RECORD_CORRUPT", false),
      (.itemTooLarge(index: 0), "INVALID_ARGUMENT VALIDATION_FAILED", false),
      (.invalidRequest("101 writes"), "INTERNAL INTERNAL", false),
    ])
  func storeErrors(store: StoreError, summary: String, hasRetryInfo: Bool) {
    let error = errors.store(store, field: "patient")
    #expect(error.summary == summary)
    #expect(
      error.details.contains { if case .retryInfo = $0 { true } else { false } } == hasRetryInfo)
    #expect(!error.message.contains("disk full") && !error.message.contains("page 3"))
  }

  @Test("an item that is too large names the field of the resource")
  func itemTooLarge() {
    #expect(errors.store(.itemTooLarge(index: 2), field: "patient").violations == ["patient ITEM_TOO_LARGE"])
  }

  @Test("NOT_FOUND names the type and the id asked for, and nothing else differs")
  func notFound() {
    let first = errors.notFound(.timeBlockNotFound, type: "TimeBlock", id: "a")
    let second = errors.notFound(.timeBlockNotFound, type: "TimeBlock", id: "b")
    #expect(first.message == "No such time block." && second.message == first.message)
    #expect(first.details.dropFirst() == [.resourceInfo(type: "TimeBlock", name: "a")])
    #expect(first.details.first == second.details.first)
  }

  @Test("all violations are reported at once, in order")
  func violations() {
    var violations = FieldViolations()
    violations.add(.required, at: "patient.first_name", "Required.")
    violations.add(.malformed, at: FieldPath("requests")[3].child("appointment").field("time"), "HH:MM.")
    let error = violations.error(errors: errors)
    #expect(error.summary == "INVALID_ARGUMENT VALIDATION_FAILED")
    #expect(error.violations == ["patient.first_name REQUIRED", "requests[3].appointment.time MALFORMED"])
    #expect(error.info == [:])
  }

  @Test("violations that exceed a header are cut, and their true number is told")
  func manyViolations() {
    var violations = FieldViolations()
    for index in 0..<1000 {
      violations.add(.malformed, at: FieldPath("patient_ids")[index].description, "An id is a UUID.")
    }
    let error = violations.error(errors: errors)
    #expect((20..<200).contains(error.violations.count))
    #expect(error.violations.first == "patient_ids[0] MALFORMED")
    #expect(error.info == ["violation_count": "1000"])
  }

  @Test("an etag is the quoted version; nothing expected is no mismatch (DOMAIN 8)")
  func etags() throws {
    let etag = Etag(version: 7)
    #expect(etag.description == "\"7\"")
    try etag.check("", errors: errors)
    try etag.check("\"7\"", errors: errors)
    for stale in ["\"6\"", "7", "W/\"7\"", "*"] {
      let error = #expect(throws: RPCError.self) { try etag.check(stale, errors: errors) }
      #expect(error?.summary == "ABORTED ETAG_MISMATCH")
      #expect(error?.info == ["etag": "\"7\""])
    }
  }
}
