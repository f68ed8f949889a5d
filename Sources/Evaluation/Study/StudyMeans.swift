import Files
import Tensors

/// Means over the merges of a study, with bootstrap intervals over the images.
///
/// All merges are evaluated on the same images, so each sample of a task's images is drawn once for all merges.
package struct StudyMeans {
    /// A term of the mean: the indices of the correct images of a task.
    private struct Part {
        let task: Int
        let right: [Int]
    }

    private let study: Study
    private let options: BootstrapOptions
    /// How often each image of each task is in each sample.
    private let samples: [[[UInt16]]]

    /// Draws the samples.
    package init(_ study: Study, _ options: BootstrapOptions) {
        (self.study, self.options) = (study, options)
        samples = study.tasks.map { task in
            var generator = Bootstrap(seed: options.seed, task: task.name)
            return (0..<options.resamples).map { sample in
                LongWork.note("resampling", sample, of: options.resamples)
                var counts = [UInt16](repeating: 0, count: task.images)
                generator.sample(task.images) { counts[$0] += 1 }
                return counts
            }
        }
    }

    /// Mean normalised accuracy: merged / single, over every task of every merge of `size` tasks; nil without any.
    package func normalised(_ variant: String, size: Int) -> Estimate? {
        mean(study.masks(variant, size: size)) { merged, single, _ in merged / single }
    }

    /// The mean of merged - head-only accuracy, likewise.
    package func overHeads(_ variant: String, size: Int) -> Estimate? {
        mean(study.masks(variant, size: size)) { merged, _, head in merged - head }
    }

    /// The mean share of images with the label of the task's adapter alone, likewise; nil if it was not measured.
    package func same(_ variant: String, size: Int) -> Estimate? {
        let results = study.results(variant, size: size)
        guard results.allSatisfy({ $0.agreements != nil }) else { return nil }
        let tasks = results.flatMap { result in
            zip(result.tasks, result.agreements ?? []).compactMap { name, agreement in
                study.task(name).map { ($0, agreement.same) }
            }
        }
        return mean(tasks) { same, _, _ in same }
    }

    /// The mean divergence of predictions from those of the task's adapter alone, in nats, likewise.
    package func divergence(_ variant: String, size: Int) -> Double? {
        let results = study.results(variant, size: size)
        let values = results.flatMap { $0.agreements ?? [] }.map(\.divergence)
        guard !values.isEmpty, results.allSatisfy({ $0.agreements != nil }) else { return nil }
        return values.reduce(0, +) / Double(values.count)
    }

    /// The mean of head-only / single accuracy over the tasks.
    package var headOnly: Estimate? {
        mean(study.tasks.map { ($0, $0.headOnly) }) { head, single, _ in head / single }
    }

    private func mean(
        _ tasks: [(task: StudyTask, masks: CorrectnessMask)],
        _ value: (_ merged: Double, _ single: Double, _ head: Double) -> Double
    ) -> Estimate? {
        let own = study.tasks.map { task in (positions(task.single), positions(task.headOnly)) }
        let parts = tasks.compactMap { task, masks in
            study.tasks.firstIndex { $0.name == task.name }.map { Part(task: $0, right: positions(masks)) }
        }
        func mean(_ right: (_ task: Int, _ positions: [Int]) -> Double) -> Double? {
            let known = own.enumerated().map { (right($0, $1.0), right($0, $1.1)) }
            let values = parts.map { part in
                value(right(part.task, part.right), known[part.task].0, known[part.task].1)
            }.filter(\.isFinite)
            return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
        }
        let whole = mean { task, positions in Double(positions.count) / Double(study.tasks[task].images) }
        guard let whole else { return nil }
        let resampled = (0..<options.resamples).compactMap { sample in
            mean { task, positions in
                Double(positions.reduce(0) { $0 + Int(samples[task][sample][$1]) }) / Double(study.tasks[task].images)
            }
        }
        return Estimate(whole, .percentile(of: resampled, about: whole, within: -Double.infinity...Double.infinity))
    }

    private func positions(_ masks: CorrectnessMask) -> [Int] { masks.isRight.indices.filter { masks.isRight[$0] } }
}
