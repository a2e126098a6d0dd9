package import NIOCore

/// Runs the tasks that prefer it on an event loop, so that a call's handler stays where its connection is.
///
/// Start such a task by `Task.immediate(executorPreference:)` on the loop: then it runs at once, and only continues by
/// way of the loop's queue after it had to wait.
package final class EventLoopTaskExecutor: TaskExecutor {
  package let eventLoop: any EventLoop

  package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }

  package func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
}
