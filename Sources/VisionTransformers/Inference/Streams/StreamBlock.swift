import Compute
import Tensors

/// One block of the pass over task streams: the base's weights, which all streams read. Shared by all threads.
struct StreamBlock: Sendable {
    private let kernels: StreamKernels
    private let layer: Int
    /// The normalization before attention, which the shared tokens pass too.
    let norm1: LayerNorm
    private let norm2: LayerNorm
    private let query, output, first, second: PackedLinear
    /// A gated MLP's up branch, else nil.
    private let up: PackedLinear?
    /// Of each head.
    private let keys, values: [PackedLinear]

    /// Packs a block of the base, or takes one that is packed.
    init(_ kernels: StreamKernels, _ weights: BlockWeights) throws {
        let c = kernels.shape.configuration
        let (d, size, layer) = (c.hiddenSize, c.headSize, weights.layer)
        (self.kernels, self.layer) = (kernels, layer)
        let attention = try weights.load { try $0.attention(layer) }
        let mlp = try weights.load { try $0.mlp(layer) }
        norm1 = try weights.norm("norm1", attention?.norm, width: d)
        norm2 = try weights.norm("norm2", mlp?.norm, width: d)
        query = try weights.linear("query", attention?.input.outputs(0..<d), kernels.query)
        /// A head's rows of the keys (1) or the values (2).
        func part(_ number: Int, _ head: Int) -> LinearWeights? {
            let start = number * d + head * size
            return attention?.input.outputs(start..<start + size)
        }
        keys = try (0..<c.heads).map {
            try weights.linear("key.\($0)", part(1, $0)?.transposed, kernels.key)
        }
        values = try (0..<c.heads).map { try weights.linear("value.\($0)", part(2, $0), kernels.value) }
        output = try weights.linear("output", attention?.output, kernels.output)
        first = try weights.linear("first", mlp?.first, kernels.first)
        up = c.isGated ? try weights.linear("up", mlp?.up, kernels.first) : nil
        second = try weights.linear("second", mlp?.second, kernels.second)
    }

    // MARK: Binding

    /// The steps of a block: those of all rows before and after attention, and attention of each image.
    struct Bound {
        let before: [() throws -> Void]
        let images: [[() throws -> Void]]
        let after: [() throws -> Void]
    }

    /// Binds the block, with what each stream changes in it, to one thread's buffers.
    func bind(_ streams: [StreamChanges], _ b: StreamBuffers) throws -> Bound {
        let c = kernels.shape.configuration
        let (d, size) = (c.hiddenSize, c.headSize)
        var before = try normalize(norm1, b)
        before += try layer(query, b.normalized.operands, b.query.floats, inputs: d, outputs: d, streams, b) {
            $0.query
        }
        before.append { b.query.round() }
        for (head, key) in keys.enumerated() {
            before += try kernels.calls(
                key, (b.query.operands, head * size, d), (b.keyed.floats, head * d, c.heads * d), scratch: b.scratch)
        }
        let images = try (0..<kernels.shape.groupSize).map { image in
            try streams.indices.flatMap { try attention(image: image, stream: $0, of: streams, b) }
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
        after += try layer(output, b.attended.operands, b.tokens, inputs: d, outputs: d, streams, b) { $0.output }
        return Bound(before: before, images: images, after: after + (try mlp(streams, b)))
    }

    private func normalize(_ norm: LayerNorm, _ b: StreamBuffers) throws -> [() throws -> Void] {
        let call = try norm.call(kernels.norm, b.tokens, .f32(b.normalized.floats), scratch: b.scratch)
        return [call.run, { b.normalized.round() }]
    }

    /// A layer of the base for all rows, and each stream's change of it.
    private func layer(
        _ layer: PackedLinear, _ source: NumberBuffer, _ destination: FloatBuffer, inputs: Int, outputs: Int,
        _ streams: [StreamChanges], _ b: StreamBuffers, _ change: (StreamChanges) -> LowRankLayers?
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
    private func attention(
        image: Int, stream: Int, of streams: [StreamChanges], _ b: StreamBuffers
    ) throws -> [() throws -> Void] {
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
            steps += try map.calls(b.keyed, at: range.lowerBound, b)
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
            steps += try map.calls(b.mixed, at: range.lowerBound, b)
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

    private func mlp(_ streams: [StreamChanges], _ b: StreamBuffers) throws -> [() throws -> Void] {
        let c = kernels.shape.configuration
        let (d, m, normalized) = (c.hiddenSize, c.intermediateSize, b.normalized.operands)
        var steps = try normalize(norm2, b)
        if let up { steps += try layer(up, normalized, b.up, inputs: d, outputs: m, streams, b) { $0.up } }
        steps += try layer(first, normalized, b.hidden.floats, inputs: d, outputs: m, streams, b) { $0.first }
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
            + (try layer(second, b.hidden.operands, b.tokens, inputs: m, outputs: d, streams, b) { $0.second })
    }
}
