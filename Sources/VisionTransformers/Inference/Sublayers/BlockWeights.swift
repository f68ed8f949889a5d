import Compute
import Tensors

/// Gives a block's sublayers their weights under names that begin with the block's: packed ones that an earlier run has
/// left, or else the source's, which it packs and records. So a sublayer names each of its weights once.
///
/// Belongs to one thread.
final class BlockWeights {
    /// The number of the block.
    let layer: Int
    private let loader: WeightLoader?
    private let quantized: QuantizedWeights?
    /// The weights by name.
    private(set) var packed: PackedWeights

    /// Weights that are packed already.
    init(_ packed: PackedWeights, layer: Int) {
        (self.packed, self.layer, loader, quantized) = (packed, layer, nil, nil)
    }

    /// Weights that are yet to be packed.
    ///
    /// - Parameter quantized: the blocks in eight bits, for int8, if `quantize` has made them.
    init(_ loader: WeightLoader, _ quantized: QuantizedWeights?, layer: Int) {
        (packed, self.layer, self.loader, self.quantized) = (PackedWeights(), layer, loader, quantized)
    }

    // MARK: Loading

    /// Loads something that is yet to be packed; nil where all is packed already.
    func load<Value>(_ body: (WeightLoader) throws -> Value) rethrows -> Value? { try loader.map(body) }

    /// Loads the block's attention in eight bits, quantizing it here where `quantize` has not.
    func loadQuantizedAttention() throws -> QuantizedAttention? {
        try load {
            let weights = try $0.attention(layer)
            return try quantized?.attention(layer, of: weights) ?? QuantizedAttention(weights)
        }
    }

    /// Loads the block's MLP in eight bits, quantizing it here where `quantize` has not.
    func loadQuantizedMLP() throws -> QuantizedMLP? {
        try load {
            let weights = try $0.mlp(layer)
            return try quantized?.mlp(layer, of: weights) ?? QuantizedMLP(weights)
        }
    }

    // MARK: Packing

    private func name(_ part: String) -> String { "layers.\(layer).\(part)" }

    /// A layer normalization of `width` channels.
    func norm(_ part: String, _ loaded: LayerNorm?, width: Int) throws -> LayerNorm {
        guard let loaded else { return try packed.norm(name(part), width: width) }
        packed.add(name(part), loaded)
        return loaded
    }

    /// The linear layer that a kernel computes.
    func linear(_ part: String, _ loaded: LinearWeights?, _ kernel: Kernel) throws -> PackedLinear {
        guard let loaded else { return try packed.linear(name(part), kernel) }
        let layer = try PackedLinear(loaded, kernel)
        packed.add(name(part), layer)
        return layer
    }

    /// The linear layer in eight bits that a kernel computes.
    func int8(_ part: String, _ loaded: QuantizedLinear?, _ kernel: Kernel) throws -> PackedInt8Linear {
        let name = name(part)
        guard let loaded else {
            return PackedInt8Linear(
                products: try packed.linear(name, kernel),
                scaling: Int8.Scaling(
                    scale: try packed.buffer("\(name).scale", count: kernel.biasCount),
                    sum: try packed.buffer("\(name).sum", count: kernel.biasCount),
                    bias: try packed.buffer("\(name).offset", count: kernel.biasCount)))
        }
        let layer = try PackedInt8Linear(loaded, kernel)
        packed.add(name, layer.products)
        packed.add("\(name).scale", layer.scaling.scale)
        packed.add("\(name).sum", layer.scaling.sum)
        packed.add("\(name).offset", layer.scaling.bias)
        return layer
    }

    /// What is added to the scores of the tokens that are read, (heads, R, stride), in families that add something.
    func scoreBias(_ c: BackboneConfiguration, _ tokens: BlockTokens) throws -> FloatBuffer? {
        guard c.anatomy.hasScoreBias else { return nil }
        let (rows, stride) = (tokens.outputs, Softmax.stride(tokens.all))
        return try vector(
            "scores", load { try $0.scoreBias(layer, rows: rows, stride: stride) }, count: c.heads * rows * stride)
    }

    /// A vector of `count` numbers.
    func vector(_ part: String, _ loaded: [Float]?, count: Int) throws -> FloatBuffer {
        guard let loaded else { return try packed.buffer(name(part), count: count) }
        let buffer = FloatBuffer(loaded)
        packed.add(name(part), buffer)
        return buffer
    }
}
