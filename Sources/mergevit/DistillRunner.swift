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
        Interruption().request(request)
        var display = DistillDisplay(isQuiet: isQuiet)
        let images = Dictionary(record.images.map { ($0.task, $0.sha256) }) { $1 }
        let outcome = try distillation.train(start, images: images) { event in
            display.show(event)
            return request.number == nil
        }
        display.finish()
        switch outcome {
        case .stopped(let steps, let total):
            Self.sayHowToGoOn("after step \(steps)" + (total.map { " of \($0)" } ?? ""))
            throw ExitCode(128 + (request.number ?? 0))
        case .finished(let merged):
            if let number = request.number {
                Self.sayHowToGoOn("after the last step")
                throw ExitCode(128 + number)
            }
            // All that is lost from here on is what follows training; the last checkpoint has the rest.
            Interruption().watch {
                Self.sayHowToGoOn("after training")
                return true
            }
            return merged
        }
    }

    private static func sayHowToGoOn(_ place: String) {
        StandardStream.error.write("mergevit: stopped \(place); the same command with --resume goes on\n")
    }
}
