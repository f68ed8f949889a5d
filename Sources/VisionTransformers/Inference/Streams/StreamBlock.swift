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
        let before = try normalize(norm1, b) + keyed(streams, b)
        let images = try (0..<kernels.shape.groupSize).map { try attention(image: $0, b) }
        let after = try attended(streams, b) + mlp(streams, b)
        return Bound(before: before, images: images, after: after)
    }

    /// Where a stream's rows begin.
    private func row(_ stream: Int) -> Int { stream * kernels.shape.groupSize }

    /// A step for each row of a stream.
    private func eachRow(of stream: Int, _ body: @escaping (_ row: Int) -> Void) -> () -> Void {
        let rows = row(stream)..<row(stream + 1)
        return { for row in rows { body(row) } }
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
        for (stream, changes) in streams.enumerated() {
            guard let change = change(changes) else { continue }
            steps += try change.calls(
                source, at: row(stream) * inputs, addedTo: destination, at: row(stream) * outputs, b)
        }
        return steps
    }

    /// What scores multiply tokens by, from `normalized` to `keyed`, and the scores of each row's own token.
    private func keyed(_ streams: [StreamChanges], _ b: StreamBuffers) throws -> [() throws -> Void] {
        let c = kernels.shape.configuration
        let (d, heads, size) = (c.hiddenSize, c.heads, c.headSize)
        var steps = try layer(
            query, b.normalized.operands, b.query.floats, inputs: d, outputs: d, streams, b
        ) { $0.query }
        steps.append { b.query.round() }
        for (head, key) in keys.enumerated() {
            steps += try kernels.calls(
                key, (b.query.operands, head * size, d), (b.keyed.floats, head * d, heads * d), scratch: b.scratch)
        }
        for (stream, changes) in streams.enumerated() {
            if let change = changes.key {
                steps.append(
                    eachRow(of: stream) { [groupSize = kernels.shape.groupSize] row in
                        HeadKernels.down(
                            b.query.floats.base + row * d, change.up,
                            into: b.headChanges.floats.base + row % groupSize * heads * change.rank, heads: heads,
                            size: size, rank: change.rank)
                    })
                steps.append { b.headChanges.round() }
                steps += try change.down.calls(
                    b.headChanges.operands, at: 0, .f32(b.keyed.floats), at: row(stream) * heads * d,
                    scratch: b.scratch)
            }
            // The stream's own token is read as it is, and the context plus `shift`: the same as the own one less it.
            let shift = changes.shift
            steps.append(
                eachRow(of: stream) { row in
                    for number in row * heads..<(row + 1) * heads {
                        let keyed = b.keyed.floats.base + number * d
                        b.own.base[number] =
                            RowKernels.dot(keyed, b.normalized.floats.base + row * d, count: d)
                            - RowKernels.dot(keyed, shift.base, count: d)
                    }
                })
            guard let map = changes.scoreMap else { continue }
            let rows = row(stream) * heads * d..<row(stream + 1) * heads * d
            steps.append { b.keyed.round(rows) }
            steps += try map.calls(b.keyed, at: rows.lowerBound, b)
        }
        return steps
    }

    /// The attention of one image's streams, from `keyed` to `mixed`.
    private func attention(image: Int, _ b: StreamBuffers) throws -> [() throws -> Void] {
        let (shape, c) = (kernels.shape, kernels.shape.configuration)
        let (d, heads) = (c.hiddenSize, c.heads)
        let (stride, tokens) = (shape.contexts[layer].scoreStride, shape.contexts[layer].tokens)
        let weights = shape.mergesTokens ? b.sizeLogarithms(image: image, layer: layer, shape) : nil
        /// The streams' heads among those of the image, and among all.
        let places = (0..<shape.streams).map { (part: $0 * heads, all: (row($0) + image) * heads) }
        let context = Operand(b.context, offset: StreamBuffers.contextOffset(image: image, layer: layer, shape))
        var steps: [() throws -> Void] = [
            {
                for (part, all) in places {
                    b.gathered.set(b.keyed.floats.base + all * d, count: heads * d, at: part * d)
                }
            }
        ]
        /// A product of all streams' heads with the context, from rows of one length to rows of another.
        func multiply(
            _ kernel: Kernel, _ source: NumberBuffer, _ sourceStride: Int, _ result: FloatBuffer, _ resultStride: Int
        ) throws -> [() throws -> Void] {
            try Swift.stride(from: 0, to: shape.streams * heads, by: kernel.rows).map { row in
                try KernelCall(
                    kernel, source: Operand(source, offset: row * sourceStride), weights: context,
                    destination: Operand(result, offset: row * resultStride), scratch: b.scratch
                ).run
            }
        }
        steps += try multiply(kernels.attention[layer].scores, b.gathered, d, b.scores, stride)
        steps.append {
            for (part, all) in places {
                for head in 0..<heads { b.scores.base[(part + head) * stride + tokens] = b.own.base[all + head] }
            }
            Softmax.apply(
                b.scores, plus: weights, into: b.probabilities, rows: shape.streams * heads, columns: tokens + 1)
            for (part, all) in places {
                for head in 0..<heads {
                    b.own.base[all + head] = b.probabilities.element((part + head) * stride + tokens)
                }
            }
        }
        steps += try multiply(kernels.attention[layer].mix, b.probabilities, stride, b.imageMixed, d)
        steps.append {
            for (part, all) in places {
                (b.mixed.floats.base + all * d).update(from: b.imageMixed.base + part * d, count: heads * d)
            }
        }
        return steps
    }

    /// The values of what was mixed, from `mixed` to `tokens`.
    private func attended(_ streams: [StreamChanges], _ b: StreamBuffers) throws -> [() throws -> Void] {
        let c = kernels.shape.configuration
        let (d, heads, size) = (c.hiddenSize, c.heads, c.headSize)
        var steps: [() throws -> Void] = []
        for (stream, changes) in streams.enumerated() {
            let rows = row(stream) * heads * d..<row(stream + 1) * heads * d
            if let map = changes.valueMap {
                steps.append { b.mixed.round(rows) }
                steps += try map.calls(b.mixed, at: rows.lowerBound, b)
            }
            let shift = changes.shift
            steps.append(
                eachRow(of: stream) { row in
                    for number in row * heads..<(row + 1) * heads {
                        let (mixed, own) = (b.mixed.floats.base + number * d, b.own.base[number])
                        RowKernels.add(b.normalized.floats.base + row * d, times: own, to: mixed, count: d)
                        RowKernels.add(shift.base, times: 1 - own, to: mixed, count: d)
                    }
                })
            steps.append { b.mixed.round(rows) }
        }
        for (head, value) in values.enumerated() {
            steps += try kernels.calls(
                value, (b.mixed.operands, head * d, heads * d), (b.attended.floats, head * size, d),
                scratch: b.scratch)
        }
        for (stream, changes) in streams.enumerated() {
            guard let change = changes.value else { continue }
            steps += try change.down.calls(
                b.mixed.operands, at: row(stream) * heads * d, .f32(b.headChanges.floats), at: 0, scratch: b.scratch)
            steps.append(
                eachRow(of: stream) { [groupSize = kernels.shape.groupSize] row in
                    HeadKernels.up(
                        b.headChanges.floats.base + row % groupSize * heads * change.rank, change.up,
                        to: b.attended.floats.base + row * d, heads: heads, size: size, rank: change.rank)
                })
        }
        steps.append { b.attended.round() }
        return steps
            + (try layer(output, b.attended.operands, b.tokens, inputs: d, outputs: d, streams, b) { $0.output })
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
