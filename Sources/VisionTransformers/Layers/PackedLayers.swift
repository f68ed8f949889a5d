import Compute
import Tensors

/// A linear layer as its kernel reads it: planned and packed once, shared by all threads.
struct PackedLinear: Sendable {
    let kernel: Kernel
    /// In the kernel's own layout.
    let weights: FloatBuffer
    /// Nil where the kernel adds none.
    let bias: FloatBuffer?

    /// A layer whose buffers are packed already.
    init(kernel: Kernel, weights: FloatBuffer, bias: FloatBuffer?) {
        (self.kernel, self.weights, self.bias) = (kernel, weights, bias)
    }

    /// Packs a layer for its kernel.
    ///
    /// - Parameter transposed: for a kernel that takes the layer's outputs back to its inputs.
    init(_ layer: LinearWeights, _ kernel: Kernel, transposed: Bool = false) throws(ComputeError) {
        self.kernel = kernel
        weights = try kernel.pack(layer.weight, transposed: transposed)
        bias = layer.bias.isEmpty || transposed ? nil : FloatBuffer(layer.bias)
    }

    /// All heads as one layer over one image's features, or nil without heads. A head that reads fewer features than
    /// there are has zeros in their place.
    ///
    /// - Throws: `ModelError` when a head reads more; `ComputeError`.
    init?(_ heads: [Head], featureSize: Int, _ engine: KernelEngine) throws {
        let classes = heads.reduce(0) { $0 + $1.classes.count }
        guard classes > 0 else { return nil }
        var layer = LinearWeights(weight: [Float](repeating: 0, count: classes * featureSize), bias: [])
        for head in heads {
            let columns = head.weight.shape[1]
            guard columns <= featureSize else {
                throw ModelError(
                    head.task, "the head reads \(columns) features, the backbone gives \(featureSize)")
            }
            for row in 0..<head.classes.count {
                let start = (layer.bias.count + row) * featureSize
                layer.weight.replaceSubrange(
                    start..<start + columns, with: head.weight.values[row * columns..<(row + 1) * columns])
            }
            layer.bias += head.bias.values
        }
        try self.init(layer, Kernel.linear(engine, rows: 1, inputs: featureSize, outputs: classes))
    }

    /// Binds the layer to its input and output.
    ///
    /// - Parameter multiplier: for kernels that multiply their result by another matrix.
    func call(
        _ source: Operand, _ destination: Operand, multiplier: Operand? = nil, scratch: FloatBuffer
    ) throws(ComputeError) -> KernelCall {
        try KernelCall(
            kernel, source: source, weights: Operand(weights), bias: bias, multiplier: multiplier,
            destination: destination, scratch: scratch)
    }
}

extension LayerNorm {
    /// Binds the normalization to a kernel and its dense rows.
    func call(
        _ kernel: Kernel, _ source: FloatBuffer, _ destination: NumberBuffer, scratch: FloatBuffer
    ) throws(ComputeError) -> KernelCall {
        try KernelCall(
            kernel, source: Operand(source), weights: Operand(scale), bias: shift, destination: Operand(destination),
            scratch: scratch)
    }
}

/// A backbone's weights by name as kernels read them: folded, quantized, and in the kernels' own layout. They are made
/// from a source's parameters (see `WeightLoader`) or mapped from a file that an earlier run left (see `PackedCache`).
struct PackedWeights: Sendable {
    /// The buffers by name.
    private(set) var buffers: [String: FloatBuffer] = [:]

    init(_ buffers: [String: FloatBuffer] = [:]) { self.buffers = buffers }

    /// Adds a buffer.
    mutating func add(_ name: String, _ buffer: FloatBuffer) { buffers[name] = buffer }

    /// Adds a layer normalization.
    mutating func add(_ name: String, _ norm: LayerNorm) {
        add("\(name).scale", norm.scale)
        add("\(name).shift", norm.shift)
    }

    /// Adds a linear layer.
    mutating func add(_ name: String, _ layer: PackedLinear) {
        add("\(name).weight", layer.weights)
        if let bias = layer.bias { add("\(name).bias", bias) }
    }

    /// Adds the buffers of another value.
    mutating func add(_ other: PackedWeights) { buffers.merge(other.buffers) { $1 } }

    /// A buffer of `count` elements.
    ///
    /// - Throws: `ModelError` when there is none of that name and size.
    func buffer(_ name: String, count: Int) throws(ModelError) -> FloatBuffer {
        guard let buffer = buffers[name], buffer.count == count else {
            let size = buffers[name].map { "\($0.count)" } ?? "none"
            throw ModelError("packed weights", "\(name): expected \(count) elements, found \(size)")
        }
        return buffer
    }

    /// A normalization of rows of `width` channels.
    func norm(_ name: String, width: Int) throws(ModelError) -> LayerNorm {
        LayerNorm(
            scale: try buffer("\(name).scale", count: width), shift: try buffer("\(name).shift", count: width))
    }

    /// The layer that a kernel computes.
    func linear(_ name: String, _ kernel: Kernel) throws(ModelError) -> PackedLinear {
        PackedLinear(
            kernel: kernel, weights: try buffer("\(name).weight", count: kernel.packedCount),
            bias: kernel.biasCount == 0 ? nil : try buffer("\(name).bias", count: kernel.biasCount))
    }
}
