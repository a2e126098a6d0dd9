internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import Synchronization
internal import UnixSignals

/// Whether a signal has asked a command to end. The command looks here between its steps, so that it ends in order.
final class Interruption: Sendable {
  private let signal = Mutex<Int32?>(nil)

  var isRequested: Bool { signal.withLock { $0 != nil } }

  /// Runs a command's work, reports its failure, and makes SIGINT and SIGTERM ask it to stop.
  ///
  /// - Parameters:
  ///   - remark: said where the work was interrupted; the exit code is the signal's then.
  ///   - body: returns `nil` where it was interrupted.
  static func handled<Value: Sendable>(
    remark: String, _ body: (Interruption) async throws(LaunchFailure) -> Value?
  ) async throws -> Value {
    let interruption = Interruption()
    let signals = await UnixSignalsSequence(trapping: [.sigint, .sigterm])
    // Leaving the scope cancels it.
    async let _ = interruption.listen(to: signals)
    let value: Value?
    do throws(LaunchFailure) { value = try await body(interruption) } catch { throw error.report() }
    if let value { return value }
    CommandOutput.error(remark)
    throw ExitCode(interruption.signal.withLock { $0.map { 128 + $0 } } ?? ExitCode.failure.rawValue)
  }

  private func listen(to signals: UnixSignalsSequence) async {
    for await signal in signals {
      self.signal.withLock { $0 = signal == .sigint ? SIGINT : SIGTERM }
      CommandOutput.error("stopping after this step")
    }
  }

  /// Runs what blocks for long on a thread of its own, so that signals are still heard.
  static func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws(LaunchFailure) -> Value
  ) async throws(LaunchFailure) -> Value {
    let result: Result<Value, LaunchFailure> = await withCheckedContinuation { answer in
      Thread.detachNewThread { answer.resume(returning: Result(catching: body)) }
    }
    return try result.get()
  }
}
