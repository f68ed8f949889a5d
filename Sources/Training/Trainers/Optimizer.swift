import Compute
import Tensors
import VisionTransformers

/// Trained tensors with AdamW's moments and the number of steps.
final class Optimizer {
    let settings: AdamW
    let tensors: [TrainedTensor]
    private let moments: [(first: FloatBuffer, second: FloatBuffer)]
    private(set) var steps = 0

    init(_ tensors: [TrainedTensor], _ settings: AdamW) {
        (self.tensors, self.settings) = (tensors, settings)
        moments = tensors.map {
            let zeros = [Float](repeating: 0, count: $0.values.count)
            return (FloatBuffer(zeros), FloatBuffer(zeros))
        }
    }

    /// Takes one step with the tensors' gradients.
    func step(learningRate: Double) {
        steps += 1
        for (tensor, moment) in zip(tensors, moments) {
            settings.update(
                tensor.values.base, gradient: tensor.gradient.base, moments: (moment.first.base, moment.second.base),
                count: tensor.values.count, step: steps, learningRate: learningRate)
        }
    }

    var parameters: [(name: String, tensor: Tensor)] { tensors.map { ($0.name, $0.tensor) } }

    /// The gradients of the parameters by name.
    var gradients: [(name: String, tensor: Tensor)] {
        tensors.map { ($0.name, Tensor(shape: $0.shape, values: Array($0.gradient.elements))) }
    }

    /// Parameters by name, moments as `exp_avg.NAME` and `exp_avg_sq.NAME`, and `steps`: quotient and remainder by
    /// 2^20, which 32-bit floats hold exactly.
    var state: [(name: String, tensor: Tensor)] {
        var state = parameters
        for (tensor, moment) in zip(tensors, moments) {
            state.append(("exp_avg.\(tensor.name)", Tensor(shape: tensor.shape, values: Array(moment.first.elements))))
            state.append(
                ("exp_avg_sq.\(tensor.name)", Tensor(shape: tensor.shape, values: Array(moment.second.elements))))
        }
        state.append(("steps", Tensor(shape: [2], values: [Float(steps >> 20), Float(steps & 0xFFFFF)])))
        return state
    }

    /// Restores a state. If it throws, nothing has changed.
    ///
    /// - Throws: `ModelError` naming a tensor that is missing, unknown or of another shape.
    func restore(_ state: [(name: String, tensor: Tensor)]) throws {
        var given: [String: Tensor] = [:]
        for (name, tensor) in state {
            guard given.updateValue(tensor, forKey: name) == nil else { throw ModelError("state", "\(name): twice") }
        }
        func take(_ name: String, _ shape: [Int]) throws -> Tensor {
            guard let tensor = given.removeValue(forKey: name) else { throw ModelError("state", "\(name) is missing") }
            guard tensor.shape == shape else {
                throw ModelError("state", "\(name): expected shape \(shape), found \(tensor.shape)")
            }
            return tensor
        }
        let taken = try tensors.map {
            (
                try take($0.name, $0.shape), try take("exp_avg.\($0.name)", $0.shape),
                try take("exp_avg_sq.\($0.name)", $0.shape)
            )
        }
        let count = try take("steps", [2])
        if let extra = given.keys.min() { throw ModelError("state", "\(extra) has no place in this training") }
        guard let steps = Self.steps(count) else {
            throw ModelError("state", "steps: expected two whole numbers, found \(count.values)")
        }
        for (index, (values, first, second)) in taken.enumerated() {
            tensors[index].values.base.update(from: values.values, count: values.count)
            moments[index].first.base.update(from: first.values, count: first.count)
            moments[index].second.base.update(from: second.values, count: second.count)
        }
        self.steps = steps
    }

    private static func steps(_ tensor: Tensor) -> Int? {
        guard let high = Int(exactly: tensor.values[0]), let low = Int(exactly: tensor.values[1]),
            (0...0xFFFFF).contains(high), (0...0xFFFFF).contains(low)
        else { return nil }
        return high << 20 | low
    }
}

/// The initial values of trained tensors, as in PEFT and transformers, from one generator per tensor name.
struct Initialization {
    let seed: UInt64

    /// Initializes every tensor: A uniform in ±1/√inputs (Kaiming's with a = √5), B zero, a head's weight normal with
    /// standard deviation 0.02, its bias zero. Given values take precedence.
    ///
    /// - Throws: `ModelError` when a given value has an unknown name or another shape.
    func apply(to tensors: [TrainedTensor], given: [String: Tensor]) throws {
        let names = Set(tensors.map(\.name))
        if let other = given.keys.sorted().first(where: { !names.contains($0) }) {
            throw ModelError(other, "an initial value for something that is not trained")
        }
        for tensor in tensors {
            if let values = given[tensor.name] {
                try tensor.set(values)
                continue
            }
            var generator = SplitMix64(seed: seed, name: tensor.name)
            if tensor.name.hasSuffix(".lora_A.weight") {
                let bound = 1 / Double(tensor.shape[1]).squareRoot()
                for index in tensor.values.elements.indices {
                    tensor.values.base[index] = Float((2 * generator.nextUniform() - 1) * bound)
                }
            } else if tensor.name == "classifier.weight" {
                for index in tensor.values.elements.indices {
                    tensor.values.base[index] = Float(0.02 * generator.nextNormal())
                }
            }
        }
    }
}
