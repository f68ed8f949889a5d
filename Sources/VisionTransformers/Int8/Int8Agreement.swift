import Compute
import Files
import Tensors

/// How many labels a rounded model shares with the model in f32, on the same images.
///
/// The labels of a head with a sigmoid are the same if all the classes are whose probability is at least a half. A head without
/// activation has R² of the values in the place of a share, at least 0.
package struct LabelAgreement: Sendable, Equatable {
    /// The share that a model has to keep for `--precision auto` to take it.
    package static let least = 0.99

    /// A task's part of it.
    package struct OfTask: Sendable, Equatable {
        /// The task.
        package let task: String
        /// The share of images with the same labels, or R² of the values.
        package let share: Double
    }

    /// How many images were compared.
    package let images: Int
    /// Of each task, in the order of the heads.
    package let tasks: [OfTask]

    /// The mean over the tasks.
    package var mean: Double { tasks.reduce(0) { $0 + $1.share } / Double(max(tasks.count, 1)) }

    /// Whether it is enough for `--precision auto`.
    package var isEnough: Bool { !tasks.isEmpty && mean >= Self.least }

    /// Compares two models with the same heads.
    ///
    /// - Parameters:
    ///   - images: how many there are.
    ///   - prepare: writes the patches of an image.
    /// - Throws: what `prepare` throws; `ComputeError` when a kernel fails.
    package init(
        of rounded: GroupedModel, with exact: GroupedModel, images: Int, threads: Int,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        let (count, classes) = (rounded.inputCount, rounded.classCount)
        let patches = FloatBuffer(count: threads * count)
        var (found, expected) = ([Float](repeating: 0, count: threads * classes), [Float]())
        expected = found
        var same = [Int](repeating: 0, count: rounded.heads.count)
        var errors = rounded.heads.map { head in head.classes.map { _ in ValueErrors() } }
        for first in stride(from: 0, to: images, by: threads) {
            try LongWork.report("comparing images", first, of: images)
            let batch = min(threads, images - first)
            for image in 0..<batch {
                try prepare(
                    first + image, UnsafeMutableBufferPointer(start: patches.base + image * count, count: count))
            }
            try rounded.run(patches.base, images: batch, logits: &found)
            try exact.run(patches.base, images: batch, logits: &expected)
            for image in 0..<batch {
                var start = image * classes
                for (index, head) in rounded.heads.enumerated() {
                    let own = start..<start + head.classes.count
                    start = own.upperBound
                    switch head.activation {
                    case .softmax: if Self.best(found[own]) == Self.best(expected[own]) { same[index] += 1 }
                    case .sigmoid: if own.allSatisfy({ (found[$0] >= 0) == (expected[$0] >= 0) }) { same[index] += 1 }
                    case .identity:
                        for (output, place) in own.enumerated() {
                            errors[index][output].add(Double(found[place]), expected: Double(expected[place]))
                        }
                    }
                }
            }
        }
        self.images = images
        tasks = rounded.heads.enumerated().map { index, head in
            let share =
                head.activation == .identity
                ? ValueErrors.share(errors[index]) : Double(same[index]) / Double(max(images, 1))
            return OfTask(task: head.task, share: share)
        }
    }

    private static func best(_ logits: ArraySlice<Float>) -> Int? {
        logits.indices.max { logits[$0] < logits[$1] }.map { $0 - logits.startIndex }
    }

    /// Those of some tasks.
    package func of(_ wanted: [String]) -> LabelAgreement {
        LabelAgreement(images: images, tasks: tasks.filter { wanted.contains($0.task) })
    }

    private init(images: Int, tasks: [OfTask]) {
        (self.images, self.tasks) = (images, tasks)
    }

    /// As a file's metadata have it.
    var text: String {
        let shares = tasks.reduce(into: JSONObject()) { $0[$1.task] = .double($1.share) }
        return JSON.object(["images": .int(images), "same_labels": .object(shares)]).serialized(indented: false)
    }

    /// Reads it, or gives nil when it says nothing.
    init?(text: String) {
        guard let object = (try? JSON(parsing: Array(text.utf8)))?.objectValue,
            let images = object["images"]?.intValue, let shares = object["same_labels"]?.objectValue
        else { return nil }
        self.images = images
        tasks = shares.keys.map { OfTask(task: $0, share: shares[$0]?.doubleValue ?? 0) }
    }
}
