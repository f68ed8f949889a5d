import Compute
import Tensors

/// A linear layer in eight bits with its bias.
struct QuantizedLinear: Sendable {
    let weight: Int8.Weight
    let bias: [Float]

    /// A layer that is quantized already.
    init(weight: Int8.Weight, bias: [Float]) {
        self.weight = weight
        self.bias = bias
    }

    /// Rounds a layer to the nearest steps.
    init(_ layer: LinearWeights) {
        weight = Int8.Weight(layer.weight, outputs: layer.bias.count)
        bias = layer.bias
    }

    /// Rounds a layer for inputs that are shifted and divided, so that its results change least; the mean change that
    /// rounding causes goes into the bias.
    ///
    /// - Parameters:
    ///   - moments: of the inputs before they are shifted and divided.
    ///   - scales: what they are shifted and divided by.
    init(_ layer: LinearWeights, _ moments: InputMoments, _ scales: SmoothingScales) throws {
        let inputs = moments.size
        let mean = zip(zip(moments.mean, scales.shift), scales.divisor).map { ($0.0 - $0.1) / $1 }
        weight = try Int8.Weight(
            layer.weight, outputs: layer.bias.count, moments: moments.covariances(dividedBy: scales.divisor))
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

/// A block's attention in eight bits, with the smoothing scales folded into it.
struct QuantizedAttention: Sendable {
    /// The normalization before queries, keys and values.
    let norm: LayerNorm
    /// Queries, keys and values.
    let input: QuantizedLinear
    let output: QuantizedLinear
}

extension QuantizedAttention {
    /// Quantizes a block's attention without calibration: the normalization's shift and scale stand for the channels'
    /// means and deviations, and weights are rounded to the nearest steps.
    init(_ weights: AttentionWeights) {
        let scales = SmoothingScales(weights.norm)
        self.init(
            norm: scales.folded(weights.norm), input: QuantizedLinear(scales.folded(reader: weights.input)),
            output: QuantizedLinear(weights.output))
    }

    /// Quantizes a block's attention for inputs like those that were measured.
    ///
    /// - Parameters:
    ///   - input: of queries, keys and values.
    ///   - output: of the output layer.
    init(_ weights: AttentionWeights, input: InputMoments, output: InputMoments) throws {
        let scales = SmoothingScales(input, readers: [weights.input])
        let valueScales = SmoothingScales(output, readers: [weights.output])
        self.init(
            norm: scales.folded(weights.norm),
            input: try QuantizedLinear(
                valueScales.folded(writer: scales.folded(reader: weights.input)), input, scales),
            output: try QuantizedLinear(valueScales.folded(reader: weights.output), output, valueScales))
    }
}

/// A block's MLP in eight bits, with the smoothing scales folded into it.
struct QuantizedMLP: Sendable {
    /// The normalization before the first layer.
    let norm: LayerNorm
    /// The first layer; in a gated MLP, the gate.
    let first: QuantizedLinear
    /// A gated MLP's up branch.
    let up: QuantizedLinear?
    /// What each hidden value is multiplied by before it is rounded.
    let factor: [Float]
    let second: QuantizedLinear
}

extension QuantizedMLP {
    /// Quantizes a block's MLP without calibration, as attention.
    init(_ weights: MLPWeights) {
        let scales = SmoothingScales(weights.norm)
        self.init(
            norm: scales.folded(weights.norm), first: QuantizedLinear(scales.folded(reader: weights.first)),
            up: weights.up.map { QuantizedLinear(scales.folded(reader: $0)) },
            factor: [Float](repeating: 1, count: weights.first.bias.count), second: QuantizedLinear(weights.second))
    }

    /// Quantizes a block's MLP for inputs like those that were measured.
    ///
    /// - Parameters:
    ///   - input: of the first layer.
    ///   - hidden: of the second layer.
    init(_ weights: MLPWeights, input: InputMoments, hidden: InputMoments) throws {
        let scales = SmoothingScales(input, readers: [weights.first] + (weights.up.map { [$0] } ?? []))
        let hiddenScales = SmoothingScales(hidden, readers: [weights.second]).withoutShift
        self.init(
            norm: scales.folded(weights.norm),
            first: try QuantizedLinear(scales.folded(reader: weights.first), input, scales),
            up: try weights.up.map { try QuantizedLinear(scales.folded(reader: $0), input, scales) },
            factor: hiddenScales.divisor.map { 1 / $0 },
            second: try QuantizedLinear(hiddenScales.folded(reader: weights.second), hidden, hiddenScales))
    }
}
