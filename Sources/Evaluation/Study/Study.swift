package import Files
import Tensors

/// What merging some tasks' adapters does to each of them: every merge beside the tasks' own adapters and heads alone.
package struct Study: Sendable {
    /// The tasks in the order in which they were named.
    package let tasks: [StudyTask]
    /// How adapters were merged, as in `sum+tune`, in the order in which it was asked for.
    package let variants: [String]
    /// How many tasks were merged, ascending; 1 is each adapter alone.
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

    /// A study from its parts. The caller guarantees that every task of a result is among the tasks.
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

    /// The task of a name.
    package func task(_ name: String) -> StudyTask? { places[name].map { tasks[$0] } }

    /// The merge of some tasks by a variant, if it was made.
    package func result(_ variant: String, _ tasks: [String]) -> StudyResult? {
        byKey[Self.key(variant, tasks)].map { results[$0] }
    }

    /// The merges of so many tasks by a variant.
    package func results(_ variant: String, size: Int) -> [StudyResult] {
        results.filter { $0.variant == variant && $0.tasks.count == size }
    }

    /// How much of its accuracy a task loses when it is merged with one other: its own adapter's accuracy minus the
    /// merge's.
    package func drop(of task: String, with other: String, by variant: String) -> Estimate? {
        guard let own = self.task(task), let marks = result(variant, [task, other])?.marks(of: task) else { return nil }
        return own.single.gain(over: marks)
    }

    /// Every task of every merge of so many tasks by a variant, with what it answered there.
    package func answers(_ variant: String, size: Int) -> [(task: StudyTask, marks: CorrectnessMask)] {
        results(variant, size: size).flatMap { result in
            zip(result.tasks, result.marks).compactMap { name, marks in task(name).map { ($0, marks) } }
        }
    }
}

/// One merge, measured on the test images of each of its tasks.
package struct StudyResult: Sendable, Equatable {
    /// How the adapters were merged, as in `sum+tune`.
    package let variant: String
    /// The names of the tasks.
    package let tasks: [String]
    /// The scale of the merge.
    package let scale: Double
    /// What the merge answered on each task's images, in the order of the tasks.
    package let marks: [CorrectnessMask]

    /// A merge that was measured.
    package init(variant: String, tasks: [String], scale: Double, marks: [CorrectnessMask]) {
        (self.variant, self.tasks, self.scale, self.marks) = (variant, tasks, scale, marks)
    }

    /// What it answered on a task's images; nil if the task is not among its own.
    package func marks(of task: String) -> CorrectnessMask? { tasks.firstIndex(of: task).map { marks[$0] } }
}

/// A task of a study with what it is compared with.
package struct StudyTask: Sendable, Equatable {
    /// The task's name.
    package let name: String
    /// How many classes its head tells apart.
    package let classes: Int
    /// The folder that its images are from.
    package let source: String
    /// The part of it that was measured on: `test`, or `val` where there is none.
    package let split: String
    /// What its own adapter alone answered.
    package let single: CorrectnessMask
    /// What a head answered that was trained over the base as it is.
    package let headOnly: CorrectnessMask

    /// A task whose adapter and head alone were measured.
    package init(
        name: String, classes: Int, source: String, split: String, single: CorrectnessMask, headOnly: CorrectnessMask
    ) {
        (self.name, self.classes, self.source, self.split) = (name, classes, source, split)
        (self.single, self.headOnly) = (single, headOnly)
    }

    /// How many images were measured on.
    package var images: Int { single.count }
}

/// How much alike two tasks are, before anything is merged.
package struct TaskSimilarity: Sendable, Equatable {
    /// Two tasks.
    package let tasks: [String]
    /// The mean cosine of their adapters' changes, from -1 to 1.
    package let cosine: Double
    /// How much of each other's subspaces the changes use, √(columns · rows), from 0 to 1.
    package let overlap: Double
    /// How far apart their images are for the base: ‖μ₁ - μ₂‖ / √((tr Σ₁ + tr Σ₂)/2) of the features that heads read.
    package let distance: Double

    /// What was measured of two tasks.
    package init(tasks: [String], cosine: Double, overlap: Double, distance: Double) {
        (self.tasks, self.cosine, self.overlap, self.distance) = (tasks, cosine, overlap, distance)
    }
}

extension Study {
    /// How the rows and the page call a task's own adapter, and a head over the base as it is.
    package static let single = "single"
    package static let headOnly = "head-only"

    /// The names of the columns of `csv`.
    package static let columns = [
        "method", "size", "tasks", "task", "scale", "images", "accuracy", "low", "high", "single", "normalised",
        "normalised_low", "normalised_high", "head_only", "over_head_only", "over_head_only_low",
        "over_head_only_high",
    ]

    /// `study.csv`: a row for each task of each merge, after each task's head alone and own adapter; shares of 1 with 95 %
    /// intervals. `tasks` are joined by `+`; cells of what is not known are empty.
    package var csv: [UInt8] {
        var rows = TextRows(Self.columns)
        for task in tasks {
            rows.append(Self.row(Self.headOnly, [task.name], task, nil, task.headOnly))
        }
        for task in tasks {
            rows.append(Self.row(Self.single, [task.name], task, 1, task.single))
        }
        for result in results {
            for (name, marks) in zip(result.tasks, result.marks) {
                guard let task = task(name) else { continue }
                rows.append(Self.row(result.variant, result.tasks, task, result.scale, marks))
            }
        }
        return rows.bytes
    }

    private static func row(
        _ method: String, _ tasks: [String], _ task: StudyTask, _ scale: Double?, _ marks: CorrectnessMask
    ) -> [String] {
        func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        func cells(_ estimate: Estimate?) -> [String] {
            [estimate?.value, estimate?.interval?.low, estimate?.interval?.high].map(text)
        }
        return [method, "\(tasks.count)", tasks.joined(separator: "+"), task.name, text(scale), "\(marks.count)"]
            + cells(marks.accuracy) + [text(task.single.accuracy?.value)] + cells(marks.ratio(to: task.single))
            + [text(task.headOnly.accuracy?.value)] + cells(marks.gain(over: task.headOnly))
    }
}
