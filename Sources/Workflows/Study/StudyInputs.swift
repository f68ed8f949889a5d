import Adapters
import Datasets
import Images
import Labelling
import Tensors
import Training
package import VisionTransformers

/// What a study measures with: adapters, heads alone, and pictures in memory.
struct StudyInputs {
    /// One task.
    struct Task {
        let name: String
        let adapter: Adapter
        /// The head that was trained over the base as it is; its classes are the adapter's, in their order.
        let head: Head
        let images: StudyImages
        /// The pictures that are measured on; their classes are places in the head.
        let pictures: PictureStore
    }

    let base: Checkpoint
    let preparer: PatchPreparer
    let tasks: [Task]

    /// A head with the classes of another in their order.
    ///
    /// Class names that nobody gave are taken to be the other's.
    ///
    /// - Throws: `ModelError` when it tells other classes apart.
    static func matched(_ alone: Adapter, to head: Head) throws -> Head {
        guard alone.modules.isEmpty else {
            throw ModelError(alone.path, "expected a head alone, found an adapter of \(alone.modules.count) modules")
        }
        var result = alone.head
        guard result.classes.count == head.classes.count else {
            throw ModelError(
                alone.path, "\(result.classes.count) classes; the adapter of \(head.task) has \(head.classes.count)")
        }
        guard !alone.hasPlaceholderNames else {
            result.classes = head.classes
            return result
        }
        let places = Dictionary(result.classes.enumerated().map { ($1, $0) }) { first, _ in first }
        let order = head.classes.compactMap { places[$0] }
        guard order.count == head.classes.count else {
            let missing = head.classes.first { places[$0] == nil } ?? ""
            throw ModelError(alone.path, "no class \"\(missing)\", which the adapter of \(head.task) has")
        }
        let width = result.weight.shape[1]
        let (weight, bias) = (result.weight.values, result.bias.values)
        for (place, old) in order.enumerated() {
            result.bias.values[place] = bias[old]
            result.weight.values.replaceSubrange(
                place * width..<(place + 1) * width, with: weight[old * width..<(old + 1) * width])
        }
        result.classes = head.classes
        return result
    }
}

extension Head {
    /// The place of the class with the largest logit for each row of features; the first of equal ones, -1 when none is a number.
    ///
    /// - Parameters:
    ///   - features: rows of `width` values; the head reads the first of them.
    ///   - width: values of a row.
    package func answers(_ features: UnsafeBufferPointer<Float>, width: Int) -> [Int] {
        let inputs = weight.shape[1]
        return (0..<features.count / max(width, 1)).map { row in
            let logits = classes.indices.map { label in
                var sum = Double(bias.values[label])
                for column in 0..<inputs {
                    sum += Double(weight.values[label * inputs + column]) * Double(features[row * width + column])
                }
                return sum
            }
            return Logits.argmax(logits) ?? -1
        }
    }
}
