import Adapters
import Datasets
import Images
import Labelling
import Tensors
import Training
import VisionTransformers

/// The inputs of a study: adapters, heads alone, and pictures in memory.
struct StudyInputs {
    /// One task.
    struct Task {
        let name: String
        let adapter: Adapter
        /// The head trained over the unchanged base, with the classes of the adapter in their order.
        let head: Head
        let images: StudyImages
        /// The pictures for evaluation; their classes are indices in the head.
        let pictures: PictureStore
    }

    let base: Checkpoint
    let preparer: PatchPreparer
    let tasks: [Task]

    /// A head with its classes in the order of another head.
    ///
    /// A head without class names gets those of the other.
    ///
    /// - Throws: `ModelError` when the classes differ.
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
        let indexByClass = Dictionary(result.classes.enumerated().map { ($1, $0) }) { first, _ in first }
        let order = head.classes.compactMap { indexByClass[$0] }
        guard order.count == head.classes.count else {
            let missing = head.classes.first { indexByClass[$0] == nil } ?? ""
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
    /// The class with the largest logit for each row of features; the first of equal ones, -1 when all are NaN.
    ///
    /// - Parameters:
    ///   - features: rows of `width` values, of which the head reads the first.
    ///   - width: the number of values of a row.
    func predictions(_ features: UnsafeBufferPointer<Float>, width: Int) -> [Int] {
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
