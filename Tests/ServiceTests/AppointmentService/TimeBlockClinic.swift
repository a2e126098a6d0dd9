import Contract
import Identity
import ServiceCore
import StandardProtos

@testable import AppointmentService

extension Clinic {
  var blocks: TimeBlockHandlers {
    TimeBlockHandlers(handlers, pageTokens: PageTokens(key: Array(repeating: 7, count: PageTokens.keyBytes)))
  }

  /// Lunch, once, unless `adjust` makes something else of it.
  func block(
    _ date: String = "2025-12-10", _ start: String = "12:00", _ end: String = "13:00",
    _ adjust: (inout AppointmentV1.TimeBlock) -> Void = { _ in }
  ) -> AppointmentV1.TimeBlock {
    var block = AppointmentV1.TimeBlock()
    block.date = date
    block.startTime = start
    block.endTime = end
    block.reason = "Lunch"
    block.type = .break
    adjust(&block)
    return block
  }

  @discardableResult
  func createBlock(
    _ block: AppointmentV1.TimeBlock, force: Bool = false, requestID: String = "", as principal: Principal? = nil
  ) async throws -> AppointmentV1.CreateTimeBlockResponse {
    var request = AppointmentV1.CreateTimeBlockRequest()
    request.timeBlock = block
    request.force = force
    request.requestId = requestID
    return try await blocks.createTimeBlock(request, context: principal.map { context($0) } ?? context())
  }

  func blockID(_ block: AppointmentV1.TimeBlock, force: Bool = false) async throws -> String {
    try await createBlock(block, force: force).timeBlock?.id ?? ""
  }

  func getBlock(_ id: String, as principal: Principal? = nil) async throws -> AppointmentV1.TimeBlock {
    var request = AppointmentV1.GetTimeBlockRequest()
    request.timeBlockId = id
    let context = principal.map { self.context($0) } ?? self.context()
    return try await blocks.getTimeBlock(request, context: context).timeBlock ?? .init()
  }

  @discardableResult
  func updateBlock(
    _ block: AppointmentV1.TimeBlock, _ paths: [String]? = nil, etag: String = "", force: Bool = false
  ) async throws -> AppointmentV1.UpdateTimeBlockResponse {
    var request = AppointmentV1.UpdateTimeBlockRequest()
    request.timeBlock = block
    if let paths {
      var mask = GoogleProtobuf.FieldMask()
      mask.paths = paths
      request.updateMask = mask
    }
    request.etag = etag
    request.force = force
    return try await blocks.updateTimeBlock(request, context: context())
  }

  @discardableResult
  func deleteBlock(
    _ id: String, etag: String = "", requestID: String = ""
  ) async throws -> AppointmentV1.DeleteTimeBlockResponse {
    var request = AppointmentV1.DeleteTimeBlockRequest()
    request.timeBlockId = id
    request.etag = etag
    request.requestId = requestID
    return try await blocks.deleteTimeBlock(request, context: context(path: "/delete"))
  }
}

extension AppointmentV1.TimeBlock {
  /// Makes it recur.
  mutating func recur(
    _ type: AppointmentV1.RecurrenceType, until end: String? = nil,
    _ adjust: (inout AppointmentV1.Recurrence) -> Void = { _ in }
  ) {
    var recurrence = AppointmentV1.Recurrence()
    recurrence.type = type
    recurrence.endDate = end
    adjust(&recurrence)
    self.recurrence = recurrence
  }
}
