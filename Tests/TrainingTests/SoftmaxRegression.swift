import Compute
import Glibc
import Tensors
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// The smallest classifier that can be trained: softmax regression on the inputs, by gradient descent with momentum.
final class SoftmaxRegression: TrainableClassifier {
    let inputCount: Int
    let classCount: Int
    private var weight: Tensor
    private var bias: Tensor
    private var velocity: Tensor
    private var steps: Float = 0

    init(inputs: Int, classes: Int) {
        (inputCount, classCount) = (inputs, classes)
        weight = Tensor(shape: [classes, inputs])
        bias = Tensor(shape: [classes])
        velocity = Tensor(shape: [classes, inputs])
    }

    var parameters: [(name: String, tensor: Tensor)] { [("classifier.weight", weight), ("classifier.bias", bias)] }

    var state: [(name: String, tensor: Tensor)] {
        parameters + [("velocity", velocity), ("steps", Tensor(shape: [], values: [steps]))]
    }

    func restore(_ state: [(name: String, tensor: Tensor)]) throws {
        let tensors = Dictionary(state.map { ($0.name, $0.tensor) }) { $1 }
        guard state.count == 4, let weight = tensors["classifier.weight"], weight.shape == self.weight.shape,
            let bias = tensors["classifier.bias"], let velocity = tensors["velocity"], let steps = tensors["steps"]
        else { throw ModelError("softmax regression", "not its state") }
        (self.weight, self.bias, self.velocity, self.steps) = (weight, bias, velocity, steps.values[0])
    }

    func predict(_ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>) {
        for image in 0..<images {
            for label in 0..<classCount {
                var sum = bias.values[label]
                for place in 0..<inputCount {
                    sum += weight.values[label * inputCount + place] * inputs[image * inputCount + place]
                }
                logits[image * classCount + label] = sum
            }
        }
    }

    func step(_ batch: TrainingBatch, learningRate: Double) throws -> StepOutcome {
        let images = batch.classes.count
        let logits = FloatBuffer(count: images * classCount)
        predict(batch.inputs, images: images, logits: logits.base)
        let total = batch.weights?.reduce(0, +) ?? Float(images)
        var gradient = Tensor(shape: [classCount, inputCount])
        var (loss, correct) = (0.0, 0)
        for image in 0..<images {
            let row = UnsafeBufferPointer(start: logits.base + image * classCount, count: classCount)
            let share = (batch.weights?[image] ?? 1) / total
            loss += Double(share) * (log(row.reduce(0.0) { $0 + exp(Double($1)) }) - Double(row[batch.classes[image]]))
            if row.firstIndex(of: row.max() ?? 0) == batch.classes[image] { correct += 1 }
            let largest = row.max() ?? 0
            let sum = row.reduce(0) { $0 + expf($1 - largest) }
            for label in 0..<classCount {
                let error = share * (expf(row[label] - largest) / sum - (label == batch.classes[image] ? 1 : 0))
                for place in 0..<inputCount {
                    gradient.values[label * inputCount + place] += error * batch.inputs[image * inputCount + place]
                }
                bias.values[label] -= Float(learningRate) * error
            }
        }
        for index in weight.values.indices {
            velocity.values[index] = 0.9 * velocity.values[index] + gradient.values[index]
            weight.values[index] -= Float(learningRate) * velocity.values[index]
        }
        steps += 1
        return StepOutcome(loss: loss, correct: correct)
    }
}

/// Points around a corner of a cube for each class, moved a little in every epoch.
struct Points: Examples {
    let inputCount = 3
    let classes: [Int]
    let seed: UInt64
    var moves = true

    func write(_ example: Int, epoch: Int, into input: UnsafeMutableBufferPointer<Float>) {
        var place = SplitMix64(seed: seed, name: "place \(example)")
        var move = SplitMix64.augmentation(seed: seed, epoch: epoch, image: example)
        for axis in 0..<3 {
            let corner = Double(classes[example] >> axis & 1)
            input[axis] = Float(corner + 0.8 * place.nextUniform() + (moves ? 0.2 * move.nextUniform() : 0) - 0.5)
        }
    }
}
