import Compute
import Tensors

/// One block of the pass over task streams: the base's weights, and what each stream changes. Shared by all threads.
struct StreamBlock: Sendable {
    private let kernels: StreamKernels
    private let layer: Int
    private let norm1, norm2: LayerNorm
    private let query, output, first, second: PackedLinear
    /// A gated MLP's up branch, else nil.
    private let up: PackedLinear?
    /// Of each head.
    private let keys, values: [PackedLinear]
    private let streams: [StreamChanges]

    /// What one stream changes in a block.
    private struct StreamChanges: Sendable {
        let query, output, first, up, second: RowChange?
        /// The token map on the side of the scores and of the values; nil where it is the identity's linear part.
        var scoreMap, valueMap: HeadsChange?
        /// (D).
        let shift: FloatBuffer
        /// A change of keys: `up` (D, r) of all heads, and the rest as a change of tokens.
        var key: (up: FloatBuffer, down: PackedLinear, rank: Int)?
        /// A change of values: tokens to the rank, and `up` (D, r) of all heads.
        var value: (down: PackedLinear, up: FloatBuffer, rank: Int)?

        init(_ stream: TaskStream, layer: Int, _ kernels: StreamKernels, _ loader: WeightLoader) throws {
            let c = kernels.shape.configuration
            func change(_ module: String) throws -> RowChange? {
                try RowChange(stream.changes[module], kernels) {
                    try loader.outputFactors(of: module, outputs: c.linearShape(of: module)?.outputs ?? 0)
                }
            }
            let names = c.mlpNames(layer)
            query = try change("layers.\(layer).attention.q_proj")
            output = try change("layers.\(layer).attention.o_proj")
            first = try change(names.first)
            up = try names.up.flatMap(change)
            second = try change(names.second)
            let (d, map) = (c.hiddenSize, stream.maps[layer])
            shift = FloatBuffer(map.shift)
            let rank = map.change.rank
            if rank > 0 {
                let (down, up) = (map.change.down.values, map.change.up.values)
                valueMap = try HeadsChange(down: down, up: up, rank: rank, kernels)
                scoreMap = try HeadsChange(
                    down: up.transposed(rows: d, columns: rank), up: down.transposed(rows: rank, columns: d),
                    rank: rank, kernels)
            }
            let attention = "layers.\(layer).attention"
            if let change = stream.changes["\(attention).k_proj"], change.rank > 0 {
                let kernel = try kernels.up(rows: c.heads, rank: change.rank, outputs: d)
                let weights = change.down.values.transposed(rows: change.rank, columns: d)
                key = (
                    FloatBuffer(change.up.values), try PackedLinear(LinearWeights(weight: weights, bias: []), kernel),
                    change.rank
                )
            }
            if let change = stream.changes["\(attention).v_proj"], change.rank > 0 {
                let kernel = try kernels.down(rows: c.heads, inputs: d, rank: change.rank, result: .f32)
                value = (
                    try PackedLinear(LinearWeights(weight: change.down.values, bias: []), kernel),
                    FloatBuffer(change.up.values), change.rank
                )
            }
        }

        var scratchCount: Int {
            [
                scoreMap?.scratchCount, valueMap?.scratchCount, key?.down.kernel.scratchCount,
                value?.down.kernel.scratchCount, query?.scratchCount, output?.scratchCount, first?.scratchCount,
                up?.scratchCount, second?.scratchCount,
            ].compactMap(\.self).max() ?? 0
        }
    }

    /// Loads a block.
    ///
    /// - Parameters:
    ///   - weights: of the base.
    ///   - loader: reads the base, or one whose parameters outside the blocks are the base's.
    init(_ kernels: StreamKernels, _ weights: BlockWeights, _ loader: WeightLoader, _ streams: [TaskStream]) throws {
        let c = kernels.shape.configuration
        let (d, size, layer) = (c.hiddenSize, c.headSize, weights.layer)
        (self.kernels, self.layer) = (kernels, layer)
        let attention = try weights.load { try $0.attention(layer) }
        let mlp = try weights.load { try $0.mlp(layer) }
        norm1 = try weights.norm("streams.norm1", attention?.norm, width: d)
        norm2 = try weights.norm("streams.norm2", mlp?.norm, width: d)
        query = try weights.linear("streams.query", attention?.input.outputs(0..<d), kernels.query)
        /// A head's rows of the keys (1) or the values (2).
        func part(_ number: Int, _ head: Int) -> LinearWeights? {
            let start = number * d + head * size
            return attention?.input.outputs(start..<start + size)
        }
        keys = try (0..<c.heads).map {
            try weights.linear("streams.key.\($0)", part(1, $0)?.transposed, kernels.key)
        }
        values = try (0..<c.heads).map { try weights.linear("streams.value.\($0)", part(2, $0), kernels.value) }
        output = try weights.linear("streams.output", attention?.output, kernels.output)
        first = try weights.linear("streams.first", mlp?.first, kernels.first)
        up = c.usesSwiGLU ? try weights.linear("streams.up", mlp?.up, kernels.first) : nil
        second = try weights.linear("streams.second", mlp?.second, kernels.second)
        self.streams = try streams.map { try StreamChanges($0, layer: layer, kernels, loader) }
    }

    /// The largest scratch memory of its changes' kernels, in elements.
    var scratchCount: Int { streams.map(\.scratchCount).max() ?? 0 }

    // MARK: Binding

    /// The steps of a block: those of all rows before and after attention, and attention of each image.
    struct Bound {
        let before: [() throws -> Void]
        let images: [[() throws -> Void]]
        let after: [() throws -> Void]
    }

    /// Binds the block to one thread's buffers.
    func bind(_ b: StreamBuffers) throws -> Bound {
        let c = kernels.shape.configuration
        let (d, size) = (c.hiddenSize, c.headSize)
        var before = try normalize(norm1, b)
        before += try layer(query, b.normalized.operands, b.query.floats, inputs: d, outputs: d, b) { $0.query }
        before.append { b.query.round() }
        for (head, key) in keys.enumerated() {
            before += try kernels.calls(
                key, (b.query.operands, head * size, d), (b.keyed.floats, head * d, c.heads * d), scratch: b.scratch)
        }
        let images = try (0..<kernels.shape.groupSize).map { image in
            try streams.indices.flatMap { try attention(image: image, stream: $0, b) }
        }
        var after: [() throws -> Void] = []
        for (head, value) in values.enumerated() {
            after += try kernels.calls(
                value, (b.mixed.operands, head * d, c.heads * d), (b.attended.floats, head * size, d),
                scratch: b.scratch)
        }
        for row in 0..<kernels.shape.groupSize * streams.count {
            if let change = streams[row % streams.count].value { after.append(try valueChange(change, row: row, b)) }
        }
        after.append { b.attended.round() }
        after += try layer(output, b.attended.operands, b.tokens, inputs: d, outputs: d, b) { $0.output }
        return Bound(before: before, images: images, after: after + (try mlp(b)))
    }

    private func normalize(_ norm: LayerNorm, _ b: StreamBuffers) throws -> [() throws -> Void] {
        let call = try norm.call(kernels.norm, b.tokens, .f32(b.normalized.floats), scratch: b.scratch)
        return [call.run, { b.normalized.round() }]
    }

    /// A layer of the base for all rows, and each stream's change of it.
    private func layer(
        _ layer: PackedLinear, _ source: NumberBuffer, _ destination: FloatBuffer, inputs: Int, outputs: Int,
        _ b: StreamBuffers, _ change: (StreamChanges) -> RowChange?
    ) throws -> [() throws -> Void] {
        var steps = try kernels.calls(layer, (source, 0, inputs), (destination, 0, outputs), scratch: b.scratch)
        for row in 0..<kernels.shape.groupSize * streams.count {
            guard let change = change(streams[row % streams.count]) else { continue }
            steps += try change.calls(
                Operand(source, offset: row * inputs), Operand(destination, offset: row * outputs), b)
        }
        return steps
    }

    /// The attention of one image's stream, from `keyed` to `mixed`.
    private func attention(image: Int, stream: Int, _ b: StreamBuffers) throws -> [() throws -> Void] {
        let (shape, c, changes) = (kernels.shape, kernels.shape.configuration, streams[stream])
        let (d, heads, stride, tokens) = (c.hiddenSize, c.heads, shape.scoreStride, shape.context)
        let row = image * streams.count + stream
        let range = row * heads * d..<(row + 1) * heads * d
        var steps: [() throws -> Void] = []
        if let change = changes.key { steps.append(try keyChange(change, row: row, b)) }
        // The stream's own token is read as it is, and the context plus `shift`: the same as the own one less it.
        let shift = changes.shift
        let normalized = b.normalized.floats.base + row * d
        steps.append {
            for head in 0..<heads {
                let keyed = b.keyed.floats.base + range.lowerBound + head * d
                b.own.base[head] =
                    RowKernels.dot(keyed, normalized, count: d) - RowKernels.dot(keyed, shift.base, count: d)
            }
        }
        steps.append { b.keyed.round(range) }
        if let map = changes.scoreMap {
            steps += try map.calls(b.keyed, at: range.lowerBound, b).map { call in call.run }
            steps.append { b.keyed.round(range) }
        }
        let context = Operand(b.context, offset: StreamBuffers.contextOffset(image: image, layer: layer, shape))
        let score = try KernelCall(
            kernels.scores, source: Operand(b.keyed.operands, offset: range.lowerBound), weights: context,
            destination: Operand(b.scores), scratch: b.scratch)
        let mix = try KernelCall(
            kernels.mix, source: Operand(b.probabilities), weights: context,
            destination: Operand(b.mixed.floats, offset: range.lowerBound), scratch: b.scratch)
        steps.append(score.run)
        steps.append {
            for head in 0..<heads { b.scores.base[head * stride + tokens] = b.own.base[head] }
            Softmax.apply(b.scores, into: b.probabilities, rows: heads, columns: tokens + 1)
            for head in 0..<heads { b.own.base[head] = b.probabilities.element(head * stride + tokens) }
        }
        steps.append(mix.run)
        if let map = changes.valueMap {
            steps.append { b.mixed.round(range) }
            steps += try map.calls(b.mixed, at: range.lowerBound, b).map { call in call.run }
        }
        steps.append {
            for head in 0..<heads {
                let (mixed, own) = (b.mixed.floats.base + range.lowerBound + head * d, b.own.base[head])
                RowKernels.add(normalized, times: own, to: mixed, count: d)
                RowKernels.add(shift.base, times: 1 - own, to: mixed, count: d)
            }
            b.mixed.round(range)
        }
        return steps
    }

    private func keyChange(
        _ change: (up: FloatBuffer, down: PackedLinear, rank: Int), row: Int, _ b: StreamBuffers
    ) throws -> () throws -> Void {
        let c = kernels.shape.configuration
        let (heads, size, d) = (c.heads, c.headSize, c.hiddenSize)
        let add = try change.down.call(
            Operand(b.headChanges.operands), Operand(b.keyed.floats, offset: row * heads * d), scratch: b.scratch)
        return {
            HeadKernels.down(
                b.query.floats.base + row * d, change.up, into: b.headChanges.floats.base, heads: heads, size: size,
                rank: change.rank)
            b.headChanges.round(0..<heads * change.rank)
            try add.run()
        }
    }

    private func valueChange(
        _ change: (down: PackedLinear, up: FloatBuffer, rank: Int), row: Int, _ b: StreamBuffers
    ) throws -> () throws -> Void {
        let c = kernels.shape.configuration
        let (heads, size, d) = (c.heads, c.headSize, c.hiddenSize)
        let down = try change.down.call(
            Operand(b.mixed.operands, offset: row * heads * d), Operand(b.headChanges.floats), scratch: b.scratch)
        return {
            try down.run()
            HeadKernels.up(
                b.headChanges.floats.base, change.up, to: b.attended.floats.base + row * d, heads: heads, size: size,
                rank: change.rank)
        }
    }

    private func mlp(_ b: StreamBuffers) throws -> [() throws -> Void] {
        let c = kernels.shape.configuration
        let (d, m, normalized) = (c.hiddenSize, c.intermediateSize, b.normalized.operands)
        var steps = try normalize(norm2, b)
        if let up { steps += try layer(up, normalized, b.up, inputs: d, outputs: m, b) { $0.up } }
        steps += try layer(first, normalized, b.hidden.floats, inputs: d, outputs: m, b) { $0.first }
        let activate = try KernelCall(
            kernels.activation, source: Operand(b.hidden.floats), destination: Operand(b.hidden.floats),
            scratch: b.scratch)
        steps.append(activate.run)
        let isGated = up != nil
        steps.append {
            if isGated {
                RowKernels.multiply(
                    b.hidden.floats.base, b.up.base, into: b.hidden.floats.base, count: b.hidden.floats.count)
            }
            b.hidden.round()
        }
        return steps
            + (try layer(second, b.hidden.operands, b.tokens, inputs: m, outputs: d, b) { $0.second })
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
