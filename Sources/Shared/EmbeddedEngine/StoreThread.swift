internal import CScheduling
internal import Foundation

/// A thread of an open store, under a name that `top -H` shows, and how it shares the processor with the others.
enum StoreThread {
  /// Waits for calls and answers them: has the processor as soon as one comes.
  case reader
  /// Work for long stretches, and give way to who waits for the processor: between transactions, and (in an encrypted
  /// store) whenever they read or write a page.
  case writer, checkpointer

  func start(_ body: @escaping @Sendable () -> Void) {
    Thread.detachNewThread {
      // The kernel keeps 15 bytes.
      unsafe cs_name_thread(self == .checkpointer ? "store.copier" : "store.\(self)")
      switch self {
      case .reader: cs_request_short_slices()
      case .writer, .checkpointer: cs_begin_giving_way()
      }
      body()
    }
  }

  /// For the writer, between two transactions.
  static func giveWay() { cs_give_way() }
}
