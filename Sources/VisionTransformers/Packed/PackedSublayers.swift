import Compute
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
    /// - Parameter statistics: of activations, for int8, if they are known.
    /// - Throws: `ModelError`, `TensorFileError` or `ComputeError`.
    func pack(
        _ kernels: PlanKernels, image: BackboneConfiguration.Extent, _ statistics: ActivationStatistics?,
        _ pool: WorkerPool
    ) throws -> PackedWeights {
        var packed = PackedWeights()
        packed.add(ParameterNames.patchProjection, try linear(ParameterNames.patchProjection, kernels.embedding))
        packed.add(
            Self.initialTokensName, try initialTokens(grid: configuration.grid(for: image), image: image))
        packed.add(Self.finalNormName, try norm("layernorm"))
        for block in try pool.map(
            kernels.blocks.count,
            { layer in
                try kernels.blocks[layer].pack(self, layer: layer, statistics)
            })
        {
            packed.add(block)
        }
        return packed
    }
}

extension FloatBlockKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ statistics: ActivationStatistics?) throws -> PackedWeights {
        let (name, prefix) = (PlanLoader.blockName(layer), "layers.\(layer)")
        let (gated, d) = (configuration.usesSwiGLU, configuration.hiddenSize)
        var packed = PackedWeights()
        packed.add("\(name).norm1", try loader.norm("\(prefix).norm1"))
        let input = try loader.plainAttentionInput(layer)
        if let query { packed.add("\(name).query", try loader.pack(input.outputs(0..<d), query)) }
        packed.add("\(name).qkv", try loader.pack(query == nil ? input : input.outputs(d..<3 * d), qkv))
        packed.add("\(name).output", try loader.linear("\(prefix).attention.o_proj", attentionOutput))
        packed.add("\(name).norm2", try loader.norm("\(prefix).norm2"))
        if let up { packed.add("\(name).up", try loader.linear("\(prefix).mlp.up_proj", up)) }
        packed.add("\(name).first", try loader.linear("\(prefix).mlp.\(gated ? "gate_proj" : "fc1")", first))
        packed.add("\(name).second", try loader.linear("\(prefix).mlp.\(gated ? "down_proj" : "fc2")", second))
        return packed
    }

    func block(_ packed: PackedWeights, layer: Int) throws -> any ForwardBlock {
        try FloatBlock(self, packed, layer: layer)
    }
}

extension Int8BlockKernels {
    func pack(_ loader: PlanLoader, layer: Int, _ statistics: ActivationStatistics?) throws -> PackedWeights {
        let (name, prefix) = (PlanLoader.blockName(layer), "layers.\(layer)")
        let (gated, d) = (configuration.usesSwiGLU, configuration.hiddenSize)
        var packed = PackedWeights()
        func plain(_ name: String) throws -> PlanLoader.Plain {
            let name = "\(prefix).\(name)"
            return try loader.plain(name, rowScale: loader.rowScale(of: name))
        }
        func folding(
            _ place: LayerInput.Place, _ readers: [PlanLoader.Plain], _ norm: ForwardPlan.Norm
        ) -> Int8Folding {
            statistics?[layer, place].map { Int8Folding($0, readers: readers) } ?? Int8Folding(norm)
        }
        var input = try loader.plainAttentionInput(layer)
        let inputNorm = try loader.norm("\(prefix).norm1")
        let inputFolding = folding(.attentionInput, [input], inputNorm)
        packed.add("\(name).norm1", inputFolding.folded(inputNorm))
        input = inputFolding.folded(reader: input)
        var output = try plain("attention.o_proj")
        if let measured = statistics?[layer, .attentionOutput] {
            let folding = Int8Folding(measured, readers: [output])
            input = folding.folded(writer: input)
            output = folding.folded(reader: output)
        }
        if let query { packed.add("\(name).query", try Int8Linear(input.outputs(0..<d), query)) }
        packed.add("\(name).qkv", try Int8Linear(query == nil ? input : input.outputs(d..<3 * d), qkv))
        packed.add("\(name).output", try Int8Linear(output, attentionOutput))

        let mlp = try (gated ? ["mlp.gate_proj", "mlp.up_proj"] : ["mlp.fc1"]).map(plain)
        let mlpNorm = try loader.norm("\(prefix).norm2")
        let mlpFolding = folding(.mlpInput, mlp, mlpNorm)
        packed.add("\(name).norm2", mlpFolding.folded(mlpNorm))
        packed.add("\(name).first", try Int8Linear(mlpFolding.folded(reader: mlp[0]), first))
        if gated { packed.add("\(name).up", try Int8Linear(mlpFolding.folded(reader: mlp[1]), first)) }
        packed.add(
            "\(name).second",
            try Int8Linear(
                plain(gated ? "mlp.down_proj" : "mlp.fc2"), second, offset: Int8.offset(activation, isGated: gated)))
        return packed
    }

    func block(_ packed: PackedWeights, layer: Int) throws -> any ForwardBlock {
        try Int8Block(self, packed, layer: layer)
    }
}

extension PackedWeights {
    /// Adds a layer in eight bits.
    mutating func add(_ name: String, _ layer: Int8Linear) {
        add(name, layer.products)
        add("\(name).scale", layer.scaling.scale)
        add("\(name).offset", layer.scaling.bias)
    }

    /// The layer in eight bits that a kernel computes.
    func int8(_ name: String, _ kernel: Kernel) throws -> Int8Linear {
        Int8Linear(
            products: try linear(name, kernel),
            scaling: Int8.Scaling(
                scale: try buffer("\(name).scale", count: kernel.biasCount),
                bias: try buffer("\(name).offset", count: kernel.biasCount)))
    }
}
