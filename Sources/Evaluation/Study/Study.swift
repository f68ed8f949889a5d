package import Files
import Tensors

/// The result of a study: the accuracy of every task in every merge, compared with its adapter and its head alone.
package struct Study: Sendable {
    /// The tasks in the given order.
    package let tasks: [StudyTask]
    /// The merge variants, such as `sum+tune`, in the given order.
    package let variants: [String]
    /// The numbers of merged tasks, ascending; 1 is each adapter alone.
    package let sizes: [Int]
    /// Every merge: by size, tasks and variant.
    package let results: [StudyResult]
    /// Every pair of tasks.
    package let similarities: [TaskSimilarity]
    /// The base, the adapters and heads, the images, and how choices were made.
    package let provenance: JSON
    /// The command's version.
    package let version: String

    private let places: [String: Int]
    private let byKey: [String: Int]

    /// A study. Every task of a result must be among `tasks`.
    package init(
        tasks: [StudyTask], variants: [String], sizes: [Int], results: [StudyResult], similarities: [TaskSimilarity],
        provenance: JSON, version: String
    ) {
        (self.tasks, self.variants, self.sizes) = (tasks, variants, sizes)
        (self.results, self.similarities) = (results, similarities)
        (self.provenance, self.version) = (provenance, version)
        places = Dictionary(tasks.enumerated().map { ($1.name, $0) }) { first, _ in first }
        byKey = Dictionary(
            results.enumerated().map { (Self.key($1.variant, $1.tasks), $0) }
        ) { first, _ in first }
    }

    private static func key(_ variant: String, _ tasks: [String]) -> String {
        ([variant] + tasks.sorted()).joined(separator: "/")
    }

    /// The task with a name.
    package func task(_ name: String) -> StudyTask? { places[name].map { tasks[$0] } }

    /// The result of merging some tasks by a variant, if it exists.
    package func result(_ variant: String, _ tasks: [String]) -> StudyResult? {
        byKey[Self.key(variant, tasks)].map { results[$0] }
    }

    /// The merges of `size` tasks by a variant.
    package func results(_ variant: String, size: Int) -> [StudyResult] {
        results.filter { $0.variant == variant && $0.tasks.count == size }
    }

    /// The accuracy that a task loses when merged with one other: that of its adapter alone minus that of the merge.
    package func drop(of task: String, with other: String, by variant: String) -> Estimate? {
        guard let own = self.task(task), let masks = result(variant, [task, other])?.masks(of: task) else { return nil }
        return own.single.gain(over: masks)
    }

    /// Every task of every merge of `size` tasks by a variant, with its correct images.
    package func masks(_ variant: String, size: Int) -> [(task: StudyTask, masks: CorrectnessMask)] {
        results(variant, size: size).flatMap { result in
            zip(result.tasks, result.masks).compactMap { name, masks in task(name).map { ($0, masks) } }
        }
    }
}

/// One merge, evaluated on the test images of each of its tasks.
package struct StudyResult: Sendable, Equatable {
    /// The merge variant, such as `sum+tune`.
    package let variant: String
    /// The names of the tasks.
    package let tasks: [String]
    /// The scale of the merge.
    package let scale: Double
    /// The correct images of each task, in the order of the tasks.
    package let masks: [CorrectnessMask]
    /// The agreement of each task with its adapter alone; nil if it was not measured.
    package let agreements: [StudyAgreement]?

    package init(
        variant: String, tasks: [String], scale: Double, masks: [CorrectnessMask], agreements: [StudyAgreement]? = nil
    ) {
        (self.variant, self.tasks, self.scale, self.masks) = (variant, tasks, scale, masks)
        self.agreements = agreements
    }

    /// A task's correct images; nil if the task was not merged.
    package func masks(of task: String) -> CorrectnessMask? { tasks.firstIndex(of: task).map { masks[$0] } }
}

/// How far a merged task's predictions are from those of its adapter alone, on its test images.
package struct StudyAgreement: Sendable, Equatable {
    /// The images with the same label.
    package let same: CorrectnessMask
    /// The mean Kullback-Leibler divergence of the adapter's predictions from the merge's, in nats.
    package let divergence: Double

    package init(same: CorrectnessMask, divergence: Double) {
        (self.same, self.divergence) = (same, divergence)
    }
}

/// A task of a study, with the baselines that merges are compared with.
package struct StudyTask: Sendable, Equatable {
    /// The task's name.
    package let name: String
    /// The number of classes of its head.
    package let classes: Int
    /// The folder of its images.
    package let source: String
    /// The split that was evaluated: `test`, or `val` where there is no `test`.
    package let split: String
    /// The correct images with its adapter alone.
    package let single: CorrectnessMask
    /// The correct images with a head trained over the unchanged base.
    package let headOnly: CorrectnessMask

    package init(
        name: String, classes: Int, source: String, split: String, single: CorrectnessMask, headOnly: CorrectnessMask
    ) {
        (self.name, self.classes, self.source, self.split) = (name, classes, source, split)
        (self.single, self.headOnly) = (single, headOnly)
    }

    /// The number of images that were evaluated.
    package var images: Int { single.count }
}

/// The similarity of two tasks before merging.
package struct TaskSimilarity: Sendable, Equatable {
    /// The names of the two tasks.
    package let tasks: [String]
    /// The mean cosine of their task vectors, from -1 to 1.
    package let cosine: Double
    /// The overlap of their task vectors' subspaces, √(columns · rows), from 0 to 1.
    package let overlap: Double
    /// The distance of their images: ‖μ₁ - μ₂‖ / √((tr Σ₁ + tr Σ₂)/2) of the base's features that heads read.
    package let distance: Double

    package init(tasks: [String], cosine: Double, overlap: Double, distance: Double) {
        (self.tasks, self.cosine, self.overlap, self.distance) = (tasks, cosine, overlap, distance)
    }
}

extension Study {
    /// The `method` of rows about a task's adapter alone.
    package static let single = "single"
    /// The `method` of rows about a head over the unchanged base.
    package static let headOnly = "head-only"

    /// The names of the columns of `csv`.
    package static let columns = [
        "method", "size", "tasks", "task", "scale", "images", "accuracy", "low", "high", "single", "normalised",
        "normalised_low", "normalised_high", "head_only", "over_head_only", "over_head_only_low",
        "over_head_only_high", "same", "same_low", "same_high", "divergence",
    ]

    /// `study.csv`: one row per task of each merge, after each task's head alone and its adapter alone. Accuracies are
    /// from 0 to 1, with 95 % intervals. `tasks` are joined by `+`; unknown values are empty cells. `same` is the share
    /// of images with the label of the task's adapter alone, `divergence` that of the predictions, in nats.
    package var csv: [UInt8] {
        var rows = TextRows(Self.columns)
        for task in tasks {
            rows.append(Self.row(Self.headOnly, [task.name], task, nil, task.headOnly))
        }
        for task in tasks {
            rows.append(Self.row(Self.single, [task.name], task, 1, task.single))
        }
        for result in results {
            for (index, (name, masks)) in zip(result.tasks, result.masks).enumerated() {
                guard let task = task(name) else { continue }
                rows.append(
                    Self.row(
                        result.variant, result.tasks, task, result.scale, masks, result.agreements?[index]))
            }
        }
        return rows.bytes
    }

    private static func row(
        _ method: String, _ tasks: [String], _ task: StudyTask, _ scale: Double?, _ masks: CorrectnessMask,
        _ agreement: StudyAgreement? = nil
    ) -> [String] {
        func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        func cells(_ estimate: Estimate?) -> [String] {
            [estimate?.value, estimate?.interval?.low, estimate?.interval?.high].map(text)
        }
        return [method, "\(tasks.count)", tasks.joined(separator: "+"), task.name, text(scale), "\(masks.count)"]
            + cells(masks.accuracy) + [text(task.single.accuracy?.value)] + cells(masks.ratio(to: task.single))
            + [text(task.headOnly.accuracy?.value)] + cells(masks.gain(over: task.headOnly))
            + cells(agreement?.same.accuracy) + [text(agreement?.divergence)]
    }
}
