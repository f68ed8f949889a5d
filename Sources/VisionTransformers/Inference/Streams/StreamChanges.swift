import Compute
import Tensors

/// The kernels of a low-rank change: down to the rank, and up from it, added to what is there.
struct ChangeKernels: Sendable {
    let down, up: ChangeKernel
}

/// The kernels of what one stream changes in one block; nil where it changes nothing.
struct StreamChangeKernels: Sendable {
    /// Of layers, for a row of each image.
    let query, output, first, up, second: ChangeKernels?
    /// Of the token map, for the heads of those rows.
    let map: ChangeKernels?
    /// Up from the rank of a change of keys, for the same heads.
    let key: ChangeKernel?
    /// Down to the rank of a change of values, for the same heads.
    let value: ChangeKernel?
    let shape: StreamShape
    /// The ranks, for the description of packed weights.
    let description: String

    init(_ stream: TaskStream, layer: Int, _ kernels: StreamKernels) throws {
        let c = kernels.shape.configuration
        let (d, heads, type) = (c.hiddenSize, c.heads, kernels.shape.type)
        shape = kernels.shape
        func rank(_ module: String) -> Int? {
            stream.changes[module].flatMap { $0.rank > 0 ? $0.rank : nil }
        }
        func change(_ module: String) throws -> ChangeKernels? {
            guard let rank = rank(module), let layer = c.linearShape(of: module) else { return nil }
            return ChangeKernels(
                down: try kernels.down(rows: 1, inputs: layer.inputs, rank: rank, result: type),
                up: try kernels.up(rows: 1, rank: rank, outputs: layer.outputs))
        }
        let (attention, mlp) = ("layers.\(layer).attention", c.mlpNames(layer))
        query = try change("\(attention).q_proj")
        output = try change("\(attention).o_proj")
        first = try change(mlp.first)
        up = try mlp.up.flatMap(change)
        second = try change(mlp.second)
        let mapRank = stream.maps[layer].change.rank
        map =
            mapRank == 0
            ? nil
            : ChangeKernels(
                down: try kernels.down(rows: heads, inputs: d, rank: mapRank, result: type),
                up: try kernels.up(rows: heads, rank: mapRank, outputs: d))
        key = try rank("\(attention).k_proj").map { try kernels.up(rows: heads, rank: $0, outputs: d) }
        value = try rank("\(attention).v_proj").map {
            try kernels.down(rows: heads, inputs: d, rank: $0, result: .f32)
        }
        let names = ["q_proj", "k_proj", "v_proj", "o_proj"].map { "\(attention).\($0)" }
        let modules = names + [mlp.first, mlp.second] + [mlp.up].compactMap(\.self)
        description = (modules.map { rank($0) ?? 0 } + [mapRank]).map(String.init).joined(separator: " ")
    }

    /// The kernels whose weights are packed.
    var linearKernels: [Kernel] {
        [query, output, first, up, second, map].compactMap(\.self).flatMap { [$0.down.kernel, $0.up.kernel] }
            + [key, value].compactMap(\.self).map(\.kernel)
    }

    /// The largest scratch memory of a kernel, in elements.
    var scratchCount: Int { linearKernels.map(\.scratchCount).max() ?? 0 }
}

/// What one stream changes in one block.
struct StreamChanges: Sendable {
    let query, output, first, up, second: LowRankLayers?
    /// The token map on the side of the scores and of the values; nil where it is the identity's linear part.
    let scoreMap, valueMap: LowRankLayers?
    /// (D).
    let shift: FloatBuffer
    /// A change of keys: `up` (D, r) of all heads, and the rest as a change of tokens.
    let key: (up: FloatBuffer, down: ChangeLayer, rank: Int)?
    /// A change of values: tokens to the rank, and `up` (r, D) of all heads.
    let value: (down: ChangeLayer, up: FloatBuffer, rank: Int)?

    /// Packs the changes of a stream, or takes those that are packed.
    ///
    /// - Parameter weights: the stream's, over a loader of the base.
    init(_ kernels: StreamChangeKernels, _ stream: TaskStream, _ weights: BlockWeights) throws {
        let (c, layer) = (kernels.shape.configuration, weights.layer)
        let d = c.hiddenSize
        func changeLayer(_ part: String, _ weight: [Float]?, _ kernel: ChangeKernel) throws -> ChangeLayer {
            let weight = weight.map { LinearWeights(weight: $0, bias: []) }
            return ChangeLayer(layer: try weights.linear(part, weight, kernel.kernel), kernel: kernel)
        }
        func layers(
            _ part: String, _ kernels: ChangeKernels, _ change: @autoclosure () throws -> (down: [Float], up: [Float])
        ) throws -> LowRankLayers {
            let loaded = try weights.load { _ in try change() }
            return LowRankLayers(
                down: try changeLayer("\(part).down", loaded?.down, kernels.down),
                up: try changeLayer("\(part).up", loaded?.up, kernels.up))
        }
        /// The change of a module whose outputs are multiplied by factors (see `WeightLoader.outputFactors`).
        func change(_ module: String, _ part: String, _ kernels: ChangeKernels?) throws -> LowRankLayers? {
            guard let kernels, let change = stream.changes[module] else { return nil }
            return try layers(part, kernels, (change.down.values, scaled(change, module)))
        }
        func scaled(_ change: LowRankChange, _ module: String) throws -> [Float] {
            let (outputs, rank) = (change.up.shape[0], change.rank)
            guard let factors = try weights.load({ try $0.outputFactors(of: module, outputs: outputs) }) else {
                return []
            }
            var result = change.up.values
            for output in 0..<outputs {
                for number in 0..<rank { result[output * rank + number] *= factors[output] }
            }
            return result
        }
        let (attention, mlp) = ("layers.\(layer).attention", c.mlpNames(layer))
        query = try change("\(attention).q_proj", "query", kernels.query)
        output = try change("\(attention).o_proj", "output", kernels.output)
        first = try change(mlp.first, "first", kernels.first)
        up = try mlp.up.flatMap { try change($0, "up", kernels.up) }
        second = try change(mlp.second, "second", kernels.second)
        let map = stream.maps[layer]
        let rank = map.change.rank
        shift = try weights.vector("shift", weights.load { _ in map.shift }, count: d)
        valueMap = try kernels.map.map {
            try layers("values", $0, (map.change.down.values, map.change.up.values))
        }
        scoreMap = try kernels.map.map {
            try layers(
                "scores", $0,
                (
                    map.change.up.values.transposed(rows: d, columns: rank),
                    map.change.down.values.transposed(rows: rank, columns: d)
                ))
        }
        if let kernel = kernels.key, let change = stream.changes["\(attention).k_proj"] {
            let down = weights.load { _ in change.down.values.transposed(rows: change.rank, columns: d) }
            key = (
                try weights.vector("key.up", weights.load { _ in change.up.values }, count: d * change.rank),
                try changeLayer("key.down", down, kernel), change.rank
            )
        } else {
            key = nil
        }
        if let kernel = kernels.value, let change = stream.changes["\(attention).v_proj"] {
            let down = weights.load { _ in change.down.values }
            let up = weights.load { _ in change.up.values.transposed(rows: d, columns: change.rank) }
            value = (
                try changeLayer("value.down", down, kernel),
                try weights.vector("value.up.transposed", up, count: d * change.rank),
                change.rank
            )
        } else {
            value = nil
        }
    }
}

/// A layer of a change with its weights.
struct ChangeLayer: Sendable {
    let layer: PackedLinear
    let kernel: ChangeKernel

    /// Binds the layer to the rows of all images of a group, which are dense.
    func calls(
        _ source: NumberBuffer, at sourceOffset: Int, _ destination: NumberBuffer, at offset: Int, scratch: FloatBuffer
    ) throws -> [() throws -> Void] {
        try stride(from: 0, to: kernel.rows, by: kernel.kernel.rows).map { row in
            let call = try layer.call(
                Operand(source, offset: sourceOffset + row * kernel.inputs),
                Operand(destination, offset: offset + row * kernel.outputs), scratch: scratch)
            return call.run
        }
    }
}

/// A low-rank change that is added to what its last layer writes: `y += (x · downᵀ) · upᵀ`, for the rows of one stream
/// of all images, or for their heads.
struct LowRankLayers: Sendable {
    let down, up: ChangeLayer

    /// Binds the change to the first row that it reads, and the first that it is added to.
    func calls(
        _ source: NumberBuffer, at sourceOffset: Int, addedTo destination: FloatBuffer, at offset: Int,
        _ b: StreamBuffers
    ) throws -> [() throws -> Void] {
        try down.calls(source, at: sourceOffset, b.changes, at: 0, scratch: b.scratch)
            + up.calls(b.changes, at: 0, .f32(destination), at: offset, scratch: b.scratch)
    }

    /// Binds it to the heads' tokens that begin at an offset, as operands and as the floats that it is added to.
    func calls(
        _ tokens: RoundedBuffer, at offset: Int, _ b: StreamBuffers
    ) throws -> [() throws -> Void] {
        try calls(tokens.operands, at: offset, addedTo: tokens.floats, at: offset, b)
    }
}

extension [Float] {
    /// A row-major matrix, transposed.
    fileprivate func transposed(rows: Int, columns: Int) -> [Float] {
        var result = [Float](repeating: 0, count: count)
        for row in 0..<rows {
            for column in 0..<columns { result[column * rows + row] = self[row * columns + column] }
        }
        return result
    }
}
