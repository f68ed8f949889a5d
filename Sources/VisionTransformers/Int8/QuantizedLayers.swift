import Compute
import Tensors

/// A linear layer in eight bits with its bias.
struct RoundedLayer: Sendable {
    let weight: Int8.Weight
    let bias: [Float]

    /// A layer that is rounded already.
    init(weight: Int8.Weight, bias: [Float]) {
        self.weight = weight
        self.bias = bias
    }

    /// Rounds a layer to the nearest steps.
    init(_ layer: PlanLoader.Plain) {
        weight = Int8.Weight(layer.weight, outputs: layer.bias.count)
        bias = layer.bias
    }

    /// Rounds a layer for inputs that are shifted and divided, so that its results change least; the mean of what rounding
    /// changes goes into the bias.
    ///
    /// - Parameters:
    ///   - moments: of the inputs before they are shifted and divided.
    ///   - folding: how they are.
    init(_ layer: PlanLoader.Plain, _ moments: InputMoments, _ folding: Int8Folding) throws {
        let inputs = moments.size
        let mean = zip(zip(moments.mean, folding.shift), folding.divisor).map { ($0.0 - $0.1) / $1 }
        weight = try Int8.Weight(
            layer.weight, outputs: layer.bias.count, moments: moments.covariances(dividedBy: folding.divisor))
        let (values, scale) = (weight.values, weight.scale)
        bias = layer.bias.indices.map { row in
            var change: Float = 0
            for input in 0..<inputs where mean[input] != 0 {
                let index = row * inputs + input
                change += (layer.weight[index] - Float(values[index]) * scale[row]) * mean[input]
            }
            return layer.bias[row] + change
        }
    }
}

/// A block's attention in eight bits, with what is folded into it.
struct RoundedAttention: Sendable {
    /// The normalization of what queries, keys and values read.
    let norm: ForwardPlan.Norm
    /// Queries, keys and values.
    let input: RoundedLayer
    let output: RoundedLayer
}

/// A block's MLP in eight bits, with what is folded into it.
struct RoundedMLP: Sendable {
    /// The normalization of what the first layer reads.
    let norm: ForwardPlan.Norm
    /// The first layer; in a gated MLP, the gate.
    let first: RoundedLayer
    /// A gated MLP's up branch.
    let up: RoundedLayer?
    /// What each hidden value is multiplied by before it is rounded.
    let factor: [Float]
    let second: RoundedLayer
}
