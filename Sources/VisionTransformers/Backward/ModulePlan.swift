import Compute
import Tensors

/// Everything of a trained module that does not change from image to image. Shared by all threads.
final class ModulePlan: Sendable {
    /// The kernels and tensors of a module's form.
    enum Form: Sendable {
        case lowRank(LowRankKernels, LowRankFactors)
        case dense(gradient: Kernel, delta: TrainedTensor)
    }

    let site: ModuleSite
    let form: Form
    /// What each output is multiplied by in the layer that the module is folded into.
    let factors: [Float]
    /// The rows of an image that it reads.
    let rows: Int
    /// The number that tells its dropout from that of other modules.
    let number: UInt64

    init(
        _ module: TrainedModule, _ site: ModuleSite, factors: [Float], number: Int, rows: Int, kernels: ModuleKernels
    ) throws {
        (self.site, self.factors, self.rows, self.number) = (site, factors, rows, UInt64(number))
        switch module.form {
        case .lowRank(let rank, let scale):
            form = .lowRank(
                try kernels.lowRank(site, rows: rows, rank: rank),
                LowRankFactors(
                    module.name, site, rank: rank, scale: Float(scale), precision: kernels.precision))
        case .dense:
            form = .dense(
                gradient: try kernels.dense(site, rows: rows),
                delta: TrainedTensor("\(module.name).delta", shape: [site.outputs, site.inputs]))
        }
    }

    /// The trained tensors.
    var tensors: [TrainedTensor] {
        switch form {
        case .lowRank(_, let factors): [factors.a, factors.b]
        case .dense(_, let delta): [delta]
        }
    }

    /// What the rows of each tensor's computed gradient are to be multiplied by; nil for 1.
    var gradientFactors: [[Float]?] {
        switch form {
        case .lowRank(_, let lowRank): [nil, factors.map { $0 * lowRank.scale }]
        case .dense: [factors.allSatisfy { $0 == 1 } ? nil : factors]
        }
    }

    /// The scratch memory that its kernels need, in elements.
    var scratchCount: Int {
        switch form {
        case .lowRank(let kernels, _): kernels.all.map(\.scratchCount).max() ?? 0
        case .dense(let gradient, _): gradient.scratchCount
        }
    }

    /// Products of elements in one image's pass, forward and backward.
    ///
    /// - Parameter passes: whether the gradient by its input is computed.
    func products(passes: Bool) -> Double {
        switch form {
        case .lowRank(_, let factors):
            Double(rows * (factors.a.values.count * (passes ? 3 : 2) + factors.b.values.count * 3))
        case .dense(_, let delta): Double(rows * delta.values.count)
        }
    }

    /// Brings A and B, as the optimiser left them, to the pass.
    func refresh() {
        guard case .lowRank(_, let lowRank) = form else { return }
        lowRank.refresh(factors)
    }
}

/// A and B of a low-rank module, and the operands made of them.
struct LowRankFactors: Sendable {
    let a: TrainedTensor
    let b: TrainedTensor
    /// The factor of B·A.
    let scale: Float
    /// A as an operand; the same memory in f32. Written by `refresh`.
    let aOperand: NumberBuffer
    /// scale · factor · B, written by `refresh`.
    let scaledB: NumberBuffer

    init(_ module: String, _ site: ModuleSite, rank: Int, scale: Float, precision: OperandType) {
        a = TrainedTensor("\(module).lora_A.weight", shape: [rank, site.inputs])
        b = TrainedTensor("\(module).lora_B.weight", shape: [site.outputs, rank])
        self.scale = scale
        aOperand = precision == .f32 ? .f32(a.values) : NumberBuffer(precision, count: a.values.count)
        scaledB = NumberBuffer(precision, count: b.values.count)
        aOperand.clear(0..<aOperand.count)
        scaledB.clear(0..<scaledB.count)
    }

    /// - Parameter factors: one for each of B's rows.
    func refresh(_ factors: [Float]) {
        let rank = b.shape[1]
        let scaled = if case .f32(let buffer) = scaledB { buffer } else { FloatBuffer(count: scaledB.count) }
        for (row, factor) in factors.enumerated() {
            for index in row * rank..<(row + 1) * rank { scaled.base[index] = b.values.base[index] * (factor * scale) }
        }
        scaledB.round(scaled.base, count: scaled.count)
        aOperand.round(a.values.base, count: a.values.count)
    }
}

/// The products of a low-rank module on `rows` rows, with u = hAᵀ and B scaled.
struct LowRankKernels: Sendable {
    /// u = h Aᵀ.
    let down: Kernel
    /// y += u Bᵀ.
    let up: Kernel
    /// du = dy B.
    let upBackward: Kernel
    /// dB += dyᵀ u.
    let bGradient: Kernel
    /// dA += duᵀ h.
    let aGradient: Kernel
    /// dh += du A.
    let downBackward: Kernel
    /// du A by itself, for dropout.
    let downBackwardAlone: Kernel

    var all: [Kernel] { [down, up, upBackward, bGradient, aGradient, downBackward, downBackwardAlone] }
}

/// Plans the kernels of trained modules, one set for each shape.
final class ModuleKernels {
    private struct Shape: Hashable {
        let rows, inputs, outputs, outputStride, rank: Int
        let input: LayerSite
    }

    private let engine: KernelEngine
    private let configuration: BackboneConfiguration
    let precision: OperandType
    private var lowRank: [Shape: LowRankKernels] = [:]
    private var dense: [Shape: Kernel] = [:]

    init(_ engine: KernelEngine, _ configuration: BackboneConfiguration, _ precision: OperandType) {
        (self.engine, self.configuration, self.precision) = (engine, configuration, precision)
    }

    private func shape(_ site: ModuleSite, _ rows: Int, _ rank: Int) -> Shape {
        let fused = site.input == .attentionInput
        return Shape(
            rows: rows, inputs: site.inputs, outputs: site.outputs,
            outputStride: fused ? 3 * configuration.hiddenSize : site.outputs, rank: rank,
            input: site.input)
    }

    func lowRank(_ site: ModuleSite, rows: Int, rank: Int) throws -> LowRankKernels {
        let shape = shape(site, rows, rank)
        if let planned = lowRank[shape] { return planned }
        let (inputs, outputs, stride, p) = (shape.inputs, shape.outputs, shape.outputStride, precision)
        func downBackward(_ result: OperandType, accumulates: Bool) throws -> Kernel {
            try Kernel.product(
                engine, m: rows, k: rank, n: inputs, sourceStride: rank, otherStride: inputs, transposed: false,
                outputStride: inputs, accumulates: accumulates, operands: p, result: result)
        }
        let kernels = LowRankKernels(
            down: try Kernel.product(
                engine, m: rows, k: inputs, n: rank, sourceStride: inputs, otherStride: inputs, transposed: true,
                outputStride: rank, operands: p, result: p),
            up: try Kernel.product(
                engine, m: rows, k: rank, n: outputs, sourceStride: rank, otherStride: rank, transposed: true,
                outputStride: stride, accumulates: true, operands: p,
                result: site.input.readsNormalized ? p : .f32),
            upBackward: try Kernel.product(
                engine, m: rows, k: outputs, n: rank, sourceStride: stride, otherStride: rank, transposed: false,
                outputStride: rank, operands: p, result: p),
            bGradient: try Kernel.product(
                engine, m: outputs, k: rows, n: rank, sourceStride: stride, sourceTransposed: true, otherStride: rank,
                transposed: false, outputStride: rank, accumulates: true, operands: p),
            aGradient: try Kernel.product(
                engine, m: rank, k: rows, n: inputs, sourceStride: rank, sourceTransposed: true, otherStride: inputs,
                transposed: false, outputStride: inputs, accumulates: true, operands: p),
            downBackward: try downBackward(site.input.readsNormalized ? .f32 : p, accumulates: true),
            downBackwardAlone: try downBackward(.f32, accumulates: false))
        lowRank[shape] = kernels
        return kernels
    }

    func dense(_ site: ModuleSite, rows: Int) throws -> Kernel {
        let shape = shape(site, rows, 0)
        if let planned = dense[shape] { return planned }
        let kernel = try Kernel.product(
            engine, m: shape.outputs, k: rows, n: shape.inputs, sourceStride: shape.outputStride,
            sourceTransposed: true, otherStride: shape.inputs, transposed: false, outputStride: shape.inputs,
            accumulates: true, operands: precision)
        dense[shape] = kernel
        return kernel
    }
}
