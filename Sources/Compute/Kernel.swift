internal import COneDNN
public import Tensors

/// An element-wise function that follows a matrix product.
public enum Activation: Sendable, Equatable {
    /// The exact GELU, x Φ(x).
    case gelu
    /// GELU by the tanh approximation.
    case geluTanh
    /// x · sigmoid(alpha · x): SiLU at alpha 1, "quick GELU" at 1.702.
    case swish(alpha: Float)
    /// max(x, 0).
    case relu
}

/// One operation, planned once for fixed shapes; it may run on several threads at the same time (see `KernelCall`).
public final class Kernel: @unchecked Sendable {
    let handle: OpaquePointer
    private let engine: KernelEngine

    private init(
        _ engine: KernelEngine, _ operation: String, create: (inout OpaquePointer?) -> Int32
    ) throws(ComputeError) {
        var created: OpaquePointer?
        try check(create(&created), operation)
        guard let created else { throw ComputeError(operation: operation, reason: "no kernel") }
        handle = created
        self.engine = engine
    }

    deinit { mv_op_destroy(handle) }

    /// A linear layer over `rows` rows with weights packed by `pack(_:)`:
    /// `dst[rows, outputs] = activation(src[rows, inputs] · weightᵀ + bias) · multiplier + (accumulate ? dst : 0)`.
    ///
    /// - Parameters:
    ///   - outputStride: distance between the rows of `dst`; the number of outputs unless given.
    ///   - multiplies: the result is multiplied by another matrix of dst's shape and stride before it is accumulated.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    public static func linear(
        _ engine: KernelEngine, rows: Int, inputs: Int, outputs: Int, outputStride: Int? = nil, hasBias: Bool = true,
        activation: Activation? = nil, multiplies: Bool = false, accumulates: Bool = false
    ) throws(ComputeError) -> Kernel {
        var spec = mv_matmul()
        (spec.m, spec.k, spec.n) = (Int64(rows), Int64(inputs), Int64(outputs))
        (spec.src_stride, spec.dst_stride) = (Int64(inputs), Int64(outputStride ?? outputs))
        spec.packed = 1
        spec.has_bias = hasBias ? 1 : 0
        spec.multiply = multiplies ? 1 : 0
        spec.accumulate = accumulates ? 1 : 0
        switch activation {
        case nil: spec.activation = MV_ACTIVATION_NONE
        case .gelu: spec.activation = MV_ACTIVATION_GELU_ERF
        case .geluTanh: spec.activation = MV_ACTIVATION_GELU_TANH
        case .relu: spec.activation = MV_ACTIVATION_RELU
        case .swish(let alpha):
            spec.activation = MV_ACTIVATION_SWISH
            spec.activation_alpha = alpha
        }
        return try Kernel(engine, "plan a linear layer \(rows) x \(inputs) -> \(outputs)") {
            mv_matmul_create(&$0, engine.handle, &spec)
        }
    }

    /// A product of two plain matrices that lie inside larger ones: `dst[m, n] = src[m, k] · other`, where `other` is
    /// `[k, n]` with the given row stride, or `[n, k]` when transposed.
    ///
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    public static func product(
        _ engine: KernelEngine, m: Int, k: Int, n: Int, sourceStride: Int, otherStride: Int, transposed: Bool,
        outputStride: Int
    ) throws(ComputeError) -> Kernel {
        var spec = mv_matmul()
        (spec.m, spec.k, spec.n) = (Int64(m), Int64(k), Int64(n))
        (spec.src_stride, spec.dst_stride) = (Int64(sourceStride), Int64(outputStride))
        (spec.weights_k_stride, spec.weights_n_stride) = transposed ? (1, Int64(otherStride)) : (Int64(otherStride), 1)
        return try Kernel(engine, "plan a product \(m) x \(k) x \(n)") {
            mv_matmul_create(&$0, engine.handle, &spec)
        }
    }

    /// Softmax of each of `rows` dense rows.
    ///
    /// - Throws: `ComputeError` when the library has no kernel for the shape.
    public static func softmax(_ engine: KernelEngine, rows: Int, columns: Int) throws(ComputeError) -> Kernel {
        try Kernel(engine, "plan softmax \(rows) x \(columns)") {
            mv_softmax_create(&$0, engine.handle, Int64(rows), Int64(columns))
        }
    }

    /// Layer normalization of each of `rows` dense rows, with scale (`weights`) and shift (`bias`).
    ///
    /// - Throws: `ComputeError` when the library has no kernel for the shape.
    public static func layerNorm(
        _ engine: KernelEngine, rows: Int, columns: Int, epsilon: Float
    ) throws(ComputeError) -> Kernel {
        try Kernel(engine, "plan layer normalization \(rows) x \(columns)") {
            mv_layer_norm_create(&$0, engine.handle, Int64(rows), Int64(columns), epsilon)
        }
    }

    /// Elements of scratch memory that a call needs.
    public var scratchCount: Int { (mv_op_scratch_size(handle) + 3) / 4 }

    /// The name of the kernel that the library chose, for reports.
    public var implementation: String { String(cString: mv_op_kernel(handle)) }

    /// Brings a linear layer's weight, `outputs` dense rows of `inputs` elements, into the layout that the kernel wants.
    ///
    /// - Throws: `ComputeError` when the library refuses.
    public func pack(_ weight: UnsafeBufferPointer<Float>) throws(ComputeError) -> FloatBuffer {
        let packed = FloatBuffer(count: (mv_op_packed_size(handle) + 3) / 4)
        try check(mv_op_pack(handle, weight.baseAddress, packed.base), "pack weights")
        return packed
    }
}

/// A place in a buffer where an operand of a kernel begins.
public struct Operand: Sendable {
    /// The buffer.
    public let buffer: FloatBuffer
    /// Elements from the buffer's start.
    public let offset: Int

    /// A place in a buffer.
    public init(_ buffer: FloatBuffer, offset: Int = 0) {
        self.buffer = buffer
        self.offset = offset
    }

    var address: UnsafeMutablePointer<Float> { buffer.base + offset }
}

/// A kernel bound to its operands, which it keeps alive; belongs to one thread, and takes no memory when it runs.
public final class KernelCall {
    private let handle: OpaquePointer
    private let kernel: Kernel
    private let operands: [FloatBuffer]

    /// Binds a kernel to its operands; those that the kernel does not use are ignored.
    ///
    /// - Throws: `ComputeError` when the library refuses.
    public init(
        _ kernel: Kernel, source: Operand, weights: Operand? = nil, bias: FloatBuffer? = nil,
        multiplier: FloatBuffer? = nil, destination: Operand, scratch: FloatBuffer
    ) throws(ComputeError) {
        guard scratch.count >= kernel.scratchCount else {
            throw ComputeError(operation: "bind a kernel", reason: "scratch memory too small")
        }
        var buffers = mv_buffers(
            src: source.address, weights: weights?.address, bias: bias?.base, multiplier: multiplier?.base,
            dst: destination.address, scratch: scratch.base)
        var created: OpaquePointer?
        try check(mv_call_create(&created, kernel.handle, &buffers), "bind a kernel")
        guard let created else { throw ComputeError(operation: "bind a kernel", reason: "no call") }
        handle = created
        self.kernel = kernel
        operands =
            [source.buffer, destination.buffer, scratch] + [weights?.buffer, bias, multiplier].compactMap(\.self)
    }

    deinit { mv_call_destroy(handle) }

    /// Runs the kernel on the calling thread.
    ///
    /// - Throws: `ComputeError` when the library refuses.
    public func run() throws(ComputeError) {
        try check(mv_call_run(handle), "run \(kernel.implementation)")
    }
}
