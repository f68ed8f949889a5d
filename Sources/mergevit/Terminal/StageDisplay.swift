import Files
import Synchronization
import Tensors

/// The stages of long work on the status line.
final class StageDisplay: Sendable {
    /// An outermost stage.
    private struct Begun {
        let name: String
        /// When it began, and the share of it that was done then.
        private let begin: (time: Double, share: Double)
        /// The largest share that was done so far, and when it became so.
        private var reached: (time: Double, share: Double)
        private(set) var done: Int

        init(_ stage: LongWork.Stage, at time: Double, _ share: Double) {
            (name, done, begin, reached) = (stage.name, stage.done, (time, share), (time, share))
        }

        mutating func reach(_ stage: LongWork.Stage, at time: Double, _ share: Double) {
            done = stage.done
            if share > reached.share { reached = (time, share) }
        }

        /// Seconds until it ends: what was left when the share last grew, less the time since.
        func left(_ now: Double) -> Double? {
            StageDisplay.left(reached.time - begin.time, from: begin.share, to: reached.share)
                .map { max($0 - (now - reached.time), 0) }
        }
    }

    private struct State {
        var stage: Begun?
        /// What precedes the stages, with the time left of all of it, instead of theirs.
        var context: StatusText?
    }

    private let status: StatusOutput
    private let state = Mutex(State())

    init(_ status: StatusOutput = .standardError) { self.status = status }

    /// Sets what precedes the stages; nil for nothing.
    func setContext(_ text: StatusText?) { state.withLock { $0.context = text } }

    /// Shows how far the work is.
    func show(_ stages: [LongWork.Stage]) {
        guard let outermost = stages.first else { return }
        let (text, isNew) = state.withLock { state in
            let (now, share) = (status.seconds, Self.share(stages[...]))
            var stage = state.stage ?? Begun(outermost, at: now, share)
            // A stage that starts over is another one.
            let isNew = state.stage == nil || stage.name != outermost.name || outermost.done < stage.done
            if isNew { stage = Begun(outermost, at: now, share) }
            stage.reach(outermost, at: now, share)
            state.stage = stage
            let left = stage.left(now)
            let text = StatusText(
                parts: (state.context?.parts ?? []) + Self.texts(stages),
                left: state.context.map(\.left) ?? left)
            return (text, isNew)
        }
        status.show(isNew: isNew) { text }
    }

    /// Seconds until a stage ends that has come so far in some seconds, once that tells anything.
    static func left(_ seconds: Double, from begin: Double, to share: Double) -> Double? {
        guard share > begin, share < 1, seconds >= 0.5 else { return nil }
        return seconds * (1 - share) / (share - begin)
    }

    /// The part of the first stage that is done, with what its inner stages have done of its next part.
    ///
    /// The innermost counts only where there is no other measure: a part is often several loops one after the other.
    private static func share(_ stages: ArraySlice<LongWork.Stage>) -> Double {
        let outer = stages.dropLast()
        let measured = outer.contains { $0.total > 1 } ? outer : stages
        return min(measured.reversed().reduce(0) { ($0 + Double($1.done)) / Double(max($1.total, 1)) }, 1)
    }

    /// Each stage with how much of it is done; of one that has a single part, its inner stages say more.
    private static func texts(_ stages: [LongWork.Stage]) -> [String] {
        stages.enumerated().compactMap { index, stage in
            if stage.total == 1 { return index == stages.count - 1 ? stage.name : nil }
            return stage.total > 0
                ? "\(stage.name): \(min(stage.done, stage.total)) of \(stage.total)" : "\(stage.name): \(stage.done)"
        }
    }
}

/// Runs a command's work with its stages on the status line, unless it is quiet.
///
/// - Parameters:
///   - display: what shows them.
///   - isStopped: whether the work is to stop; asked at every report.
/// - Throws: what `body` throws; `CancellationRequested` when the work was stopped.
func showingStages<Result>(
    isQuiet: Bool, on display: StageDisplay = StageDisplay(), isStopped: @escaping @Sendable () -> Bool = { false },
    _ body: () throws -> Result
) rethrows -> Result {
    defer { StatusOutput.standardError.clear() }
    return try LongWork.observed(by: { stages in
        if !isQuiet { display.show(stages) }
        return !isStopped()
    }) { try body() }
}
