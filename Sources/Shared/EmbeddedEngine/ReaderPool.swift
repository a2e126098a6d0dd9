internal import GRDB
internal import Storage
internal import Synchronization

/// The connections that read: some are borrowed for single keys on the caller's own thread, some have threads.
final class ReaderPool: Sendable {
  typealias Job = @Sendable (ItemReader) -> Void

  // A reader is used by one thread at a time: it leaves this list when it is taken and comes back after its use.
  private struct Idle: @unchecked Sendable { var readers: [ItemReader] }

  private let idle: Mutex<Idle>
  private let queue: WorkQueue<Job>
  private let threads: [Finish]

  /// - Parameter inline: connections for single keys, one for each thread that may ask at the same moment.
  init(path: String, inline: Int, threads count: Int, capacity: Int) throws {
    let readers = try (0..<inline).map { _ in try Self.open(path) }
    let threadReaders = try (0..<max(1, count)).map { _ in try Self.open(path) }
    idle = Mutex(Idle(readers: readers))
    queue = WorkQueue(capacity: capacity)
    threads = threadReaders.map { _ in Finish() }
    for (reader, finish) in zip(threadReaders, threads) { start(reader, finish) }
  }

  /// Reads at once on the caller's thread if a connection is free (microseconds), else on a reader thread.
  func readInline<Value: Sendable>(
    _ body: @escaping @Sendable (ItemReader) throws -> Value
  ) async throws(StoreError) -> Value {
    guard let reader = take() else { return try await read(body) }
    defer { put(back: reader) }
    return try Self.perform(body, with: reader).get()
  }

  /// Reads on a reader thread.
  func read<Value: Sendable>(
    _ body: @escaping @Sendable (ItemReader) throws -> Value
  ) async throws(StoreError) -> Value {
    let result: Result<Value, StoreError> = await withCheckedContinuation { answer in
      do throws(WorkQueue<Job>.Refusal) {
        try queue.submit { answer.resume(returning: Self.perform(body, with: $0)) }
      } catch {
        answer.resume(returning: .failure(error == .full ? .overloaded : .unavailable("the store is closed")))
      }
    }
    return try result.get()
  }

  /// Refuses more work, finishes what is queued and closes all connections that are not in use.
  func close() async throws {
    queue.close()
    for thread in threads { try await thread.wait() }
    let readers = idle.withLock { idle in
      defer { idle.readers = [] }
      return idle
    }
    for reader in readers.readers { try reader.close() }
  }
}

extension ReaderPool {
  private func take() -> ItemReader? {
    idle.withLock { Idle(readers: $0.readers.popLast().map { [$0] } ?? []) }.readers.first
  }
  private func put(back reader: ItemReader) {
    let returned = Idle(readers: [reader])
    idle.withLock { $0.readers += returned.readers }
  }

  private static func open(_ path: String) throws -> ItemReader {
    ItemReader(try Connection(path: path, configuration: .reader))
  }

  private static func perform<Value>(
    _ body: (ItemReader) throws -> Value, with reader: ItemReader
  ) -> Result<Value, StoreError> {
    do { return .success(try body(reader)) } catch let error as StoreError { return .failure(error) } catch {
      return .failure(SQLiteFailure(error).readError)
    }
  }

  private func start(_ reader: ItemReader, _ finish: Finish) {
    let (queue, reader) = (queue, Idle(readers: [reader]))
    StoreThread.reader.start {
      while let jobs = queue.next(limit: 1) {
        for job in jobs { for reader in reader.readers { job(reader) } }
      }
      finish.finish(Result { for reader in reader.readers { try reader.close() } })
    }
  }
}
