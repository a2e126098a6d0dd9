internal import CivilTime
internal import ServiceCore

/// Type of a time block; raw values are those of the stored items (database-schema.md).
enum TimeBlockType: String, Sendable, Hashable, CaseIterable {
  case breakTime = "break"
  case admin
  case meeting
  case other
}

/// What a caller says about a time block.
struct TimeBlockContent: Sendable, Hashable {
  var rule: BlockRule
  var reason: String
  var type: TimeBlockType
}

/// A time block as the service keeps it (DOMAIN 5).
struct TimeBlockRecord: Sendable, Hashable {
  /// UUIDv4, canonical lower case.
  var id: String
  /// The partition: whose time it is.
  var clinician: String
  var content: TimeBlockContent
  var createdAt: Instant
  var createdBy: String
  var updatedAt: Instant
  var updatedBy: String
  /// Number of successful mutations.
  var version: Int64

  var etag: Etag { Etag(version: version) }

  /// The block with other content; the same version when nothing changes (DOMAIN 8).
  func changing(_ content: TimeBlockContent, by principal: String, at now: Instant) -> TimeBlockRecord {
    guard content != self.content else { return self }
    var changed = self
    changed.content = content
    changed.updatedAt = max(now, updatedAt.adding(microseconds: 1))
    changed.updatedBy = principal
    changed.version += 1
    return changed
  }
}

extension TimeBlockRecord {
  /// A new time block.
  init(id: String, clinician: String, content: TimeBlockContent, by principal: String, at now: Instant) {
    self.init(
      id: id, clinician: clinician, content: content, createdAt: now, createdBy: principal, updatedAt: now,
      updatedBy: principal, version: 1)
  }
}
