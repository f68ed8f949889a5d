import Adapters
import ArgumentParser
import Glibc
import Training

/// Trains the merges of `--method distill`, shows how that goes, and stops when it is told to.
struct DistillRunner {
    let options: DistillOptions
    /// Where the merge is to be written.
    let output: String
    let isQuiet: Bool

    /// Trains the merge of a group.
    ///
    /// - Throws: `ExitCode` when a signal stopped it, after a checkpoint.
    func train(
        _ start: MergedBackbone, _ rule: MergeRule, _ calibrator: Calibrator, _ record: CalibrationRecord, group: Int
    ) throws -> MergedBackbone {
        var distillation = Distillation(
            calibrator, rule: rule, output: DistillOptions.place(output, group: group))
        if let minutes = options.minutes { distillation.length = .minutes(minutes) }
        distillation.resumes = options.resume
        distillation.checkpointSeconds = options.checkpointSeconds
        distillation.checkpointSteps = options.checkpointSteps
        let request = Interruption.Request()
        Interruption.asks(request, advice: TrainCommand.advice)
        var display = DistillDisplay(isQuiet: isQuiet)
        let images = Dictionary(record.images.map { ($0.task, $0.sha256) }) { $1 }
        let outcome = try showingStages(isQuiet: isQuiet, isStopped: { request.number != nil }) {
            try distillation.train(start, images: images) { event in
                display.show(event)
                return request.number == nil
            }
        }
        display.finish()
        switch outcome {
        case .stopped(let steps, let total):
            throw Interruption.stopped(
                by: request,
                steps > 0 ? "after step \(steps)" + (total.map { " of \($0)" } ?? "") : "before the first step",
                advice: steps > 0 || options.resume ? TrainCommand.advice : Interruption.nothingWritten)
        case .finished(let merged):
            if request.number != nil {
                throw Interruption.stopped(by: request, "after the last step", advice: TrainCommand.advice)
            }
            // All that is lost from here on is what follows training; the last checkpoint has the rest.
            Interruption.ends(advice: TrainCommand.advice)
            return merged
        }
    }
}
