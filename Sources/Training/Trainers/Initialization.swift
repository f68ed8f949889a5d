import Compute
import Tensors
import VisionTransformers

/// How trained tensors begin: as PEFT and transformers begin theirs, from a generator for each tensor's name.
struct Initialization {
    let seed: UInt64

    /// Sets every tensor: A uniform in ±1/√inputs (Kaiming's with a = √5), B zero, a head's weight normal with
    /// deviation 0.02, its bias zero; or what is given for it.
    ///
    /// - Throws: `ModelError` when something is given under another name, or in another shape.
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
