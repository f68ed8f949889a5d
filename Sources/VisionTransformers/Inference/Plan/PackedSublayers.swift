import Compute
import Files
import Tensors

extension PlanLoader {
    /// The name of the tokens before the patch embedding is added.
    static let initialTokensName = "tokens"
    /// The name of the final layer normalization.
    static let finalNormName = "layernorm"

    /// What the names of a block's weights begin with.
    static func blockName(_ layer: Int) -> String { "layers.\(layer)" }

    /// Folds and packs all weights but the heads', blocks in parallel.
    ///
    /// - Parameter rounded: the blocks in eight bits, for int8, if `quantize` has rounded them.
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    func pack(
        _ kernels: PlanKernels, image: BackboneConfiguration.Extent, _ rounded: RoundedWeights?,
        _ pool: WorkerPool
    ) throws -> PackedWeights {
        var packed = PackedWeights()
        packed.add(ParameterNames.patchProjection, try linear(ParameterNames.patchProjection, kernels.embedding))
        packed.add(
            Self.initialTokensName, try initialTokens(grid: configuration.grid(for: image), image: image))
        packed.add(Self.finalNormName, try norm("layernorm"))
        let counter = LongWork.Counter("preparing layers", of: kernels.blocks.count)
        let blocks = try pool.map(kernels.blocks.count) { layer in
            try counter.check()
            defer { counter.count() }
            return try kernels.blocks[layer].map { try $0.pack(self, layer: layer, rounded) }
        }
        for block in blocks {
            for sublayer in block { packed.add(sublayer) }
        }
        return packed
    }
}

extension FloatAttentionKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ rounded: RoundedWeights?) throws -> PackedWeights {
        let (name, prefix) = (PlanLoader.blockName(layer), "layers.\(layer)")
        var packed = PackedWeights()
        packed.add("\(name).norm1", try loader.norm("\(prefix).norm1"))
        packed.add("\(name).qkv", try loader.pack(loader.plainAttentionInput(layer), qkv))
        packed.add("\(name).output", try loader.linear("\(prefix).attention.o_proj", output))
        return packed
    }
}

extension ReadAttentionKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ rounded: RoundedWeights?) throws -> PackedWeights {
        let (name, d, size) = (PlanLoader.blockName(layer), configuration.hiddenSize, configuration.headSize)
        let plain = try loader.plainAttention(layer)
        var packed = PackedWeights()
        packed.add("\(name).norm1", plain.norm)
        packed.add("\(name).query", try loader.pack(plain.input.outputs(0..<d), query))
        for head in 0..<configuration.heads {
            let first = d + head * size
            packed.add(
                "\(name).key.\(head)", try loader.pack(plain.input.outputs(first..<first + size).transposed, key))
            packed.add(
                "\(name).value.\(head)", try loader.pack(plain.input.outputs(first + d..<first + d + size), value))
        }
        packed.add("\(name).output", try loader.pack(plain.output, output))
        return packed
    }
}

extension FloatMLPKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ rounded: RoundedWeights?) throws -> PackedWeights {
        let (name, prefix, gated) = (PlanLoader.blockName(layer), "layers.\(layer)", configuration.usesSwiGLU)
        var packed = PackedWeights()
        packed.add("\(name).norm2", try loader.norm("\(prefix).norm2"))
        if let up { packed.add("\(name).up", try loader.linear("\(prefix).mlp.up_proj", up)) }
        packed.add("\(name).first", try loader.linear("\(prefix).mlp.\(gated ? "gate_proj" : "fc1")", first))
        packed.add("\(name).second", try loader.linear("\(prefix).mlp.\(gated ? "down_proj" : "fc2")", second))
        return packed
    }
}

extension Int8AttentionKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ rounded: RoundedWeights?) throws -> PackedWeights {
        let name = PlanLoader.blockName(layer)
        let plain = try loader.plainAttention(layer)
        let own = try rounded?.attention(layer, of: plain) ?? RoundedAttention(plain)
        var packed = PackedWeights()
        packed.add("\(name).norm1", own.norm)
        packed.add("\(name).qkv", try Int8Linear(own.input, qkv))
        packed.add("\(name).output", try Int8Linear(own.output, output))
        return packed
    }
}

extension Int8MLPKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ rounded: RoundedWeights?) throws -> PackedWeights {
        let name = PlanLoader.blockName(layer)
        let plain = try loader.plainMLP(layer)
        let own = try rounded?.mlp(layer, of: plain) ?? RoundedMLP(plain)
        var packed = PackedWeights()
        packed.add("\(name).norm2", own.norm)
        packed.add("\(name).first", try Int8Linear(own.first, first))
        if let up = own.up { packed.add("\(name).up", try Int8Linear(up, first)) }
        packed.add("\(name).factor", FloatBuffer(own.factor))
        packed.add("\(name).second", try Int8Linear(own.second, second))
        return packed
    }
}

extension PackedWeights {
    /// Adds a layer in eight bits.
    mutating func add(_ name: String, _ layer: Int8Linear) {
        add(name, layer.products)
        add("\(name).scale", layer.scaling.scale)
        add("\(name).sum", layer.scaling.sum)
        add("\(name).offset", layer.scaling.bias)
    }

    /// The layer in eight bits that a kernel computes.
    func int8(_ name: String, _ kernel: Kernel) throws -> Int8Linear {
        Int8Linear(
            products: try linear(name, kernel),
            scaling: Int8.Scaling(
                scale: try buffer("\(name).scale", count: kernel.biasCount),
                sum: try buffer("\(name).sum", count: kernel.biasCount),
                bias: try buffer("\(name).offset", count: kernel.biasCount)))
    }
}
