import Synchronization

/// How far long work has come, told to whoever waits for it.
///
/// Loops that can take seconds report what they have done wherever they are; a program sets an observer for the work it
/// calls, and none is needed. The observer belongs to the calling thread: work on other threads counts with a `Counter`
/// made on the caller's.
package enum LongWork {
    /// A stretch of work.
    package struct Stage: Sendable, Equatable {
        /// What is counted, in a few words.
        package let name: String
        /// How many are done.
        package let done: Int
        /// Of how many; 0 if that is not known.
        package let total: Int

        /// A stretch of work.
        package init(name: String, done: Int, total: Int) { (self.name, self.done, self.total) = (name, done, total) }
    }

    /// Told of the stages under way, the outermost first. Answers whether to continue.
    package typealias Observer = @Sendable (_ stages: [Stage]) -> Bool

    private struct Context: Sendable {
        let observer: Observer
        var stages: [Stage] = []
    }

    @TaskLocal private static var context: Context?

    /// Runs something whose stages are reported to an observer.
    ///
    /// - Throws: what `body` throws: `CancellationRequested` after the observer has answered that the work is not to
    ///   continue.
    package static func observed<Result>(
        by observer: @escaping Observer, _ body: () throws -> Result
    ) rethrows -> Result {
        try $context.withValue(Context(observer: observer)) { try body() }
    }

    /// Reports that some parts of the work are done.
    ///
    /// - Throws: `CancellationRequested` when the work is not to continue.
    package static func report(_ name: String, _ done: Int, of total: Int) throws(CancellationRequested) {
        guard let context else { return }
        try report(Stage(name: name, done: done, total: total), in: context)
    }

    /// Reports that some parts of the work are done, where the work cannot stop.
    package static func note(_ name: String, _ done: Int, of total: Int) { try? report(name, done, of: total) }

    /// Reports that some parts of the work are done, and runs the next one; its own reports are parts of this stage.
    ///
    /// - Throws: `CancellationRequested` when the work is not to continue, and what `body` throws.
    package static func part<Result>(
        _ name: String, _ done: Int, of total: Int, _ body: () throws -> Result
    ) throws -> Result {
        guard var context else { return try body() }
        let stage = Stage(name: name, done: done, total: total)
        try report(stage, in: context)
        context.stages.append(stage)
        return try $context.withValue(context) { try body() }
    }

    private static func report(_ stage: Stage, in context: Context) throws(CancellationRequested) {
        guard context.observer(context.stages + [stage]) else { throw CancellationRequested() }
    }

    /// Counts parts that are done on several threads.
    package final class Counter: Sendable {
        private let name: String
        private let total: Int
        private let context: Context?
        private let state = Mutex((done: 0, isStopped: false))

        /// A counter of a stage of the calling thread's work.
        package init(_ name: String, of total: Int) {
            (self.name, self.total, context) = (name, total, LongWork.context)
        }

        /// Counts one more part; safe to call from any thread.
        ///
        /// - Throws: `CancellationRequested` when the work is not to continue.
        package func advance() throws(CancellationRequested) {
            guard let context else { return }
            let goesOn = state.withLock { state in
                state.done += 1
                guard !state.isStopped else { return false }
                state.isStopped = !context.observer(
                    context.stages + [Stage(name: name, done: state.done, total: total)])
                return !state.isStopped
            }
            guard goesOn else { throw CancellationRequested() }
        }

        /// Counts one more part, where the work cannot stop; `check` tells the next part.
        package func count() { try? advance() }

        /// Checks, before a part is begun, that the work is to continue.
        ///
        /// - Throws: `CancellationRequested` when it is not.
        package func check() throws(CancellationRequested) {
            if state.withLock(\.isStopped) { throw CancellationRequested() }
        }
    }
}

/// The observer of long work answered that it is not to continue.
package struct CancellationRequested: Error, Sendable, CustomStringConvertible {
    /// Creates the error.
    package init() {}

    /// In words, for programs that do not catch it.
    package var description: String { "told to stop" }
}
