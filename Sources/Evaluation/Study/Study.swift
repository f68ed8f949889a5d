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
