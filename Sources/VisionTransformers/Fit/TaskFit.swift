import Tensors

/// Tells how well an image fits a task: how it compares with images of the task that were held out.
package struct TaskFit: Sendable {
    /// The task.
    package let task: String
    /// The distribution of the task's images.
    let distribution: SummaryDistribution
    /// The scores of the task's held-out images, ascending.
    package let heldOut: [Float]

    /// A fit.
    ///
    /// - Parameter heldOut: the scores of held-out images, in any order.
    package init(task: String, distribution: SummaryDistribution, heldOut: [Float]) {
        (self.task, self.distribution, self.heldOut) = (task, distribution, heldOut.sorted())
    }

    /// How many bytes its numbers take in a file.
    package var byteCount: Int { distribution.byteCount + 4 * heldOut.count }

    /// The same fit of a task with another name.
    package func named(_ task: String) -> TaskFit {
        TaskFit(task: task, distribution: distribution, heldOut: heldOut)
    }

    /// The share of the task's images that lie at least as far as an image, a conformal p-value: (1 + c) / (n + 1),
    /// where c of the n held-out images have at least its score. At most a share p of images that are drawn like the
    /// held-out ones has a value of p or less. Always positive; of a score that is not a number the smallest.
    package func value(score: Float) -> Float {
        guard !score.isNaN else { return smallestValue }
        var (low, high) = (0, heldOut.count)
        while low < high {
            let middle = (low + high) / 2
            if heldOut[middle] < score { low = middle + 1 } else { high = middle }
        }
        return Float(1 + heldOut.count - low) / Float(heldOut.count + 1)
    }

    /// The value of an image that lies farther than all held-out ones.
    package var smallestValue: Float { 1 / Float(heldOut.count + 1) }
}

/// The fits of the tasks that share a backbone.
package struct GroupFit: Sendable {
    /// The distribution of the images of all tasks together that the fits were made with.
    package let background: SummaryDistribution
    /// The fits, by task.
    package var tasks: [String: TaskFit]

    /// The fits of some tasks.
    package init(background: SummaryDistribution, tasks: [String: TaskFit]) {
        (self.background, self.tasks) = (background, tasks)
    }

    /// These fits and others of the same backbone, which replace those of the same tasks.
    package func adding(_ other: GroupFit) -> GroupFit {
        GroupFit(background: background, tasks: tasks.merging(other.tasks) { $1 })
    }

    /// The fits without those of some tasks, the others under their new names.
    package func changed(removing removed: [String] = [], renaming names: [String: String]) -> GroupFit {
        let left = tasks.values.filter { !removed.contains($0.task) }.map { $0.named(names[$0.task] ?? $0.task) }
        return GroupFit(background: background, tasks: Dictionary(left.map { ($0.task, $0) }) { $1 })
    }

    /// How far an image's summary lies from a task: its squared Mahalanobis distance from the task's images less half
    /// of that from the images of all tasks.
    ///
    /// That is relative Mahalanobis distance (Ren et al., arXiv 2106.09022) with a weight of ½ instead of 1 for the
    /// background: with 1, pictures of kinds that are in the background are told apart a little better, and all others
    /// much worse (docs/applicability.md).
    package static func score(
        _ summary: UnsafePointer<Float>, _ distribution: SummaryDistribution, background: SummaryDistribution
    ) -> Float {
        let scratch = FloatBuffer(count: distribution.count)
        return score(
            distribution.distance(summary, scratch: scratch), background.distance(summary, scratch: scratch))
    }

    fileprivate static func score(_ own: Float, _ background: Float) -> Float { own - background / 2 }
}

/// Computes the fits of a model's tasks, for one group of tasks. Shared by all threads.
struct FitScorer: Sendable {
    private let background: SummaryDistribution
    /// The fits with the place of each among all values of an image.
    private let fits: [(fit: TaskFit, place: Int)]

    /// The fits of a group's tasks that have one.
    ///
    /// - Parameters:
    ///   - tasks: the names of the group's tasks.
    ///   - places: the place of each task that has a fit, among all values of an image.
    init?(_ group: GroupFit?, tasks: [String], places: [String: Int]) {
        guard let group else { return nil }
        background = group.background
        fits = tasks.compactMap { task in
            guard let fit = group.tasks[task], let place = places[task] else { return nil }
            return (fit, place)
        }
        if fits.isEmpty { return nil }
    }

    /// The number of elements of a summary.
    var summaryCount: Int { background.count }

    /// Writes the fits of an image with each task of the group to their places.
    ///
    /// - Parameter scratch: memory for a summary.
    func write(
        _ summary: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>, scratch: FloatBuffer
    ) {
        let common = background.distance(summary, scratch: scratch)
        for (fit, place) in fits {
            let own = fit.distribution.distance(summary, scratch: scratch)
            values[place] = fit.value(score: GroupFit.score(own, common))
        }
    }
}
