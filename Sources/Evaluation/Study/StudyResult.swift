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
