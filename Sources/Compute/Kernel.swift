internal import COneDNN
package import Tensors

/// One operation, planned once for fixed shapes; it may run on several threads at the same time (see `KernelCall`).
package final class Kernel: @unchecked Sendable {
    /// The element types of a kernel's operands.
    struct Storage: Sendable {
        var source = ElementType.float32
        /// Nil for packed weights, in the library's own layout.
        var weights: ElementType? = ElementType.float32
        /// Nil when there is none.
        var multiplier: ElementType?
        var result = ElementType.float32
    }

    /// The rows that a linear layer or a product computes, else 0.
    package let rows: Int
    let handle: OpaquePointer
    let storage: Storage
    private let engine: KernelEngine

    init(
        _ engine: KernelEngine, _ operation: String, _ storage: Storage = Storage(), rows: Int = 0,
        create: (inout OpaquePointer?) -> Int32
    ) throws(ComputeError) {
        var created: OpaquePointer?
        try check(create(&created), operation)
        guard let created else { throw ComputeError(operation: operation, reason: "no kernel") }
        handle = created
        self.storage = storage
        self.rows = rows
        self.engine = engine
    }

    deinit { mv_op_destroy(handle) }

    /// A linear layer over `rows` rows with weights packed by `pack(_:)`:
    /// `dst[rows, outputs] = activation(src[rows, inputs] · weightᵀ + bias) · multiplier + (accumulate ? dst : 0)`.
    ///
    /// - Parameters:
    ///   - sourceStride: distance between the rows of `src`; the number of inputs unless specified.
    ///   - outputStride: distance between the rows of `dst`; the number of outputs unless specified.
    ///   - multiplies: the result is multiplied by another matrix of dst's shape and stride before it is accumulated.
    ///   - operands: how `src` is stored, and `weight` once it is packed; the bias is f32.
    ///   - result: how `dst` and the matrix that it is multiplied by are stored; bf16 only with such operands.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes and precisions.
    package static func linear(
        _ engine: KernelEngine, rows: Int, inputs: Int, outputs: Int, sourceStride: Int? = nil,
        outputStride: Int? = nil, hasBias: Bool = true, activation: Activation? = nil, multiplies: Bool = false,
        accumulates: Bool = false, operands: OperandType = .f32, result: OperandType = .f32
    ) throws(ComputeError) -> Kernel {
        var spec = mv_matmul()
        (spec.operands, spec.result) = (operands.code, result.code)
        (spec.m, spec.k, spec.n) = (Int64(rows), Int64(inputs), Int64(outputs))
        (spec.src_stride, spec.dst_stride) = (Int64(sourceStride ?? inputs), Int64(outputStride ?? outputs))
        spec.src_k_stride = 1
        spec.packed = 1
        spec.has_bias = hasBias ? 1 : 0
        spec.multiply = multiplies ? 1 : 0
        spec.accumulate = accumulates ? 1 : 0
        (spec.activation, spec.activation_alpha) = activation.code
        return try Kernel(
            engine, "plan a linear layer \(rows) x \(inputs) -> \(outputs), \(operands) to \(result)",
            Storage(
                source: operands.element, weights: nil, multiplier: multiplies ? result.element : nil,
                result: result.element),
            rows: rows
        ) {
            mv_matmul_create(&$0, engine.handle, &spec)
        }
    }

    /// The products of a linear layer in eight bits: `dst[rows, outputs] = src[rows, inputs] · weightᵀ + bias`, where
    /// `src` is unsigned, the weight signed and packed by `pack(_:)` from whole numbers of -127...127. The sums are
    /// exact; the caller applies the scales (see `Int8`).
    ///
    /// - Parameter result: how `dst` is stored; the bias is f32.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    package static func products(
        _ engine: KernelEngine, rows: Int, inputs: Int, outputs: Int, result: OperandType
    ) throws(ComputeError) -> Kernel {
        var spec = mv_matmul()
        (spec.operands, spec.result) = (MV_INT8, result.code)
        (spec.m, spec.k, spec.n) = (Int64(rows), Int64(inputs), Int64(outputs))
        (spec.src_stride, spec.src_k_stride, spec.dst_stride) = (Int64(inputs), 1, Int64(outputs))
        (spec.packed, spec.has_bias) = (1, 1)
        return try Kernel(
            engine, "plan products \(rows) x \(inputs) -> \(outputs), int8 to \(result)",
            Storage(source: .uint8, weights: nil, result: result.element), rows: rows
        ) {
            mv_matmul_create(&$0, engine.handle, &spec)
        }
    }

    /// A product of two plain matrices, which may be parts of larger ones: `dst[m, n] = src[m, k] · other`, where
    /// `other` is `[k, n]` with the given row stride, or `[n, k]` when transposed.
    ///
    /// - Parameters:
    ///   - sourceTransposed: `src` is stored as `[k, m]`.
    ///   - accumulates: the product is added to `dst`.
    ///   - operands: how `src` and `other` are stored.
    ///   - result: how `dst` is stored; bf16 only with such operands.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes and precisions.
    package static func product(
        _ engine: KernelEngine, m: Int, k: Int, n: Int, sourceStride: Int, sourceTransposed: Bool = false,
        otherStride: Int, transposed: Bool, outputStride: Int, accumulates: Bool = false,
        operands: OperandType = .f32, result: OperandType = .f32
    ) throws(ComputeError) -> Kernel {
        var spec = mv_matmul()
        (spec.operands, spec.result) = (operands.code, result.code)
        (spec.m, spec.k, spec.n) = (Int64(m), Int64(k), Int64(n))
        spec.dst_stride = Int64(outputStride)
        (spec.src_stride, spec.src_k_stride) = sourceTransposed ? (1, Int64(sourceStride)) : (Int64(sourceStride), 1)
        spec.accumulate = accumulates ? 1 : 0
        (spec.weights_k_stride, spec.weights_n_stride) = transposed ? (1, Int64(otherStride)) : (Int64(otherStride), 1)
        return try Kernel(
            engine, "plan a product \(m) x \(k) x \(n), \(operands) to \(result)",
            Storage(source: operands.element, weights: operands.element, result: result.element), rows: m
        ) {
            mv_matmul_create(&$0, engine.handle, &spec)
        }
    }

    /// Layer normalization of each of `rows` dense rows, with scale (`weights`) and shift (`bias`).
    ///
    /// - Throws: `ComputeError` when the library has no kernel for the shape.
    package static func layerNorm(
        _ engine: KernelEngine, rows: Int, columns: Int, epsilon: Float
    ) throws(ComputeError) -> Kernel {
        try Kernel(engine, "plan layer normalization \(rows) x \(columns)") {
            mv_layer_norm_create(&$0, engine.handle, Int64(rows), Int64(columns), epsilon)
        }
    }

    /// Elements of scratch memory that a call needs.
    package var scratchCount: Int { (mv_op_scratch_size(handle) + 3) / 4 }

    /// The size of packed weights, in elements of 32 bits.
    package var packedCount: Int { (mv_op_packed_size(handle) + 3) / 4 }

    /// Elements of a linear layer's bias; 0 when it has none.
    package var biasCount: Int { mv_op_bias_count(handle) }

    /// The layout of packed weights: blocks, strides and padding. Empty where the library does not tell, and then
    /// weights that another process has packed must not be used.
    package var packedLayout: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
            guard let base = text.baseAddress else { return "" }
            mv_op_packed_layout(handle, base, text.count)
            return String(cString: base)
        }
    }

    /// The name of the kernel that the library chose, for reports.
    package var implementation: String { String(cString: mv_op_kernel(handle)) }

    /// Brings a linear layer's weight, `outputs` dense rows of `inputs` elements, into the kernel's layout.
    ///
    /// - Parameter transposed: the weight is stored as `inputs` rows of `outputs` elements, as that of the layer whose
    ///   gradient this one computes.
    /// - Throws: `ComputeError` when the library refuses.
    package func pack(
        _ weight: [Float], transposed: Bool = false
    ) throws(ComputeError) -> FloatBuffer {
        let packed = FloatBuffer(count: packedCount)
        try repack(weight, transposed: transposed, into: packed)
        return packed
    }

    /// Packs a changed weight into memory from `pack`.
    ///
    /// - Throws: `ComputeError` when the library refuses.
    package func repack(
        _ weight: [Float], transposed: Bool = false, into packed: FloatBuffer
    ) throws(ComputeError) {
        try check(mv_op_pack(handle, weight, transposed ? 1 : 0, packed.base), "pack weights")
    }
}

/// A kernel bound to its operands, which it keeps alive; belongs to one thread. Running it takes no memory but the
/// library's small blocks.
package final class KernelCall {
    private let handle: OpaquePointer
    private let kernel: Kernel
    private let operands: [Operand]

    /// Binds a kernel to its operands; unused ones are ignored.
    ///
    /// - Throws: `ComputeError` when an operand has another type than the kernel's, or the library refuses.
    package init(
        _ kernel: Kernel, source: Operand, weights: Operand? = nil, bias: FloatBuffer? = nil,
        multiplier: Operand? = nil, destination: Operand, scratch: FloatBuffer
    ) throws(ComputeError) {
        for (operand, expected) in [
            (source, kernel.storage.source), (weights, kernel.storage.weights), (multiplier, kernel.storage.multiplier),
            (destination, kernel.storage.result),
        ] {
            guard let operand, let expected, operand.element != expected else { continue }
            throw ComputeError(
                operation: "bind a kernel", reason: "expected \(expected.rawValue), found \(operand.element.rawValue)")
        }
        guard scratch.count >= kernel.scratchCount else {
            throw ComputeError(operation: "bind a kernel", reason: "scratch memory too small")
        }
        var buffers = mv_buffers(
            src: source.address, weights: weights?.address, bias: bias?.base, multiplier: multiplier?.address,
            dst: destination.address, scratch: scratch.base)
        var created: OpaquePointer?
        try check(mv_call_create(&created, kernel.handle, &buffers), "bind a kernel")
        guard let created else { throw ComputeError(operation: "bind a kernel", reason: "no call") }
        handle = created
        self.kernel = kernel
        operands =
            [source, destination, Operand(scratch)]
            + [weights, bias.map { Operand($0) }, multiplier].compactMap(\.self)
    }

    deinit { mv_call_destroy(handle) }

    /// Runs the kernel on the calling thread.
    ///
    /// - Throws: `ComputeError` when the library refuses.
    package func run() throws(ComputeError) {
        try check(mv_call_run(handle), "run \(kernel.implementation)")
    }
}
