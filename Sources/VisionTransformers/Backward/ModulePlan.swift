import Compute
import Tensors

/// What does not change from image to image of one trained module. Shared by all threads.
final class ModulePlan: Sendable {
    /// The kernels and tensors of a module's form.
    enum Form: Sendable {
        /// `scaledB` is scale · factor · B, written by `refresh`.
        case lowRank(LowRankKernels, a: TrainedTensor, b: TrainedTensor, scaledB: FloatBuffer, scale: Float)
        case dense(gradient: Kernel, delta: TrainedTensor)
    }

    let place: ModulePlace
    let form: Form
    /// What each output is multiplied by in the layer that the module is folded into.
    let factors: [Float]
    /// How many rows it reads of an image.
    let rows: Int
    /// Tells its dropout from that of other modules.
    let number: UInt64

    init(
        _ module: TrainedModule, _ place: ModulePlace, factors: [Float], number: Int, rows: Int, kernels: ModuleKernels
    ) throws {
        (self.place, self.factors, self.rows, self.number) = (place, factors, rows, UInt64(number))
        switch module.form {
        case .lowRank(let rank, let scale):
            let outputs = place.outputs
            form = .lowRank(
                try kernels.lowRank(place, rows: rows, rank: rank),
                a: TrainedTensor("\(module.name).lora_A.weight", shape: [rank, place.inputs]),
                b: TrainedTensor("\(module.name).lora_B.weight", shape: [outputs, rank]),
                scaledB: FloatBuffer([Float](repeating: 0, count: outputs * rank)), scale: Float(scale))
        case .dense:
            form = .dense(
                gradient: try kernels.dense(place, rows: rows),
                delta: TrainedTensor("\(module.name).delta", shape: [place.outputs, place.inputs]))
        }
    }

    /// What is trained.
    var tensors: [TrainedTensor] {
        switch form {
        case .lowRank(_, let a, let b, _, _): [a, b]
        case .dense(_, let delta): [delta]
        }
    }

    /// What the gradient of each tensor's rows, as it is computed, is to be multiplied by; nil for 1.
    var gradientFactors: [[Float]?] {
        switch form {
        case .lowRank(_, _, _, _, let scale): [nil, factors.map { $0 * scale }]
        case .dense: [factors.allSatisfy { $0 == 1 } ? nil : factors]
        }
    }

    /// The scratch memory that its kernels want, in elements.
    var scratchCount: Int {
        switch form {
        case .lowRank(let kernels, _, _, _, _): kernels.all.map(\.scratchCount).max() ?? 0
        case .dense(let gradient, _): gradient.scratchCount
        }
    }

    /// Products of elements in one image's pass, forward and backward.
    ///
    /// - Parameter passes: whether the gradient of its input is wanted.
    func products(passes: Bool) -> Double {
        switch form {
        case .lowRank(_, let a, let b, _, _): Double(rows * (a.values.count * (passes ? 3 : 2) + b.values.count * 3))
        case .dense(_, let delta): Double(rows * delta.values.count)
        }
    }

    /// Lets the pass see B as the optimiser left it.
    func refresh() {
        guard case .lowRank(_, _, let b, let scaledB, let scale) = form else { return }
        let rank = b.shape[1]
        for (row, factor) in factors.enumerated() {
            for index in row * rank..<(row + 1) * rank { scaledB.base[index] = b.values.base[index] * (factor * scale) }
        }
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
    }

    private let engine: KernelEngine
    private let configuration: BackboneConfiguration
    private var lowRank: [Shape: LowRankKernels] = [:]
    private var dense: [Shape: Kernel] = [:]

    init(_ engine: KernelEngine, _ configuration: BackboneConfiguration) {
        (self.engine, self.configuration) = (engine, configuration)
    }

    private func shape(_ place: ModulePlace, _ rows: Int, _ rank: Int) -> Shape {
        let fused = place.place == .attentionInput
        return Shape(
            rows: rows, inputs: place.inputs, outputs: place.outputs,
            outputStride: fused ? 3 * configuration.hiddenSize : place.outputs, rank: rank)
    }

    func lowRank(_ place: ModulePlace, rows: Int, rank: Int) throws -> LowRankKernels {
        let shape = shape(place, rows, rank)
        if let known = lowRank[shape] { return known }
        let (inputs, outputs, stride) = (shape.inputs, shape.outputs, shape.outputStride)
        func downBackward(accumulates: Bool) throws -> Kernel {
            try Kernel.product(
                engine, m: rows, k: rank, n: inputs, sourceStride: rank, otherStride: inputs, transposed: false,
                outputStride: inputs, accumulates: accumulates)
        }
        let kernels = LowRankKernels(
            down: try Kernel.product(
                engine, m: rows, k: inputs, n: rank, sourceStride: inputs, otherStride: inputs, transposed: true,
                outputStride: rank),
            up: try Kernel.product(
                engine, m: rows, k: rank, n: outputs, sourceStride: rank, otherStride: rank, transposed: true,
                outputStride: stride, accumulates: true),
            upBackward: try Kernel.product(
                engine, m: rows, k: outputs, n: rank, sourceStride: stride, otherStride: rank, transposed: false,
                outputStride: rank),
            bGradient: try Kernel.product(
                engine, m: outputs, k: rows, n: rank, sourceStride: stride, sourceTransposed: true, otherStride: rank,
                transposed: false, outputStride: rank, accumulates: true),
            aGradient: try Kernel.product(
                engine, m: rank, k: rows, n: inputs, sourceStride: rank, sourceTransposed: true, otherStride: inputs,
                transposed: false, outputStride: inputs, accumulates: true),
            downBackward: try downBackward(accumulates: true),
            downBackwardAlone: try downBackward(accumulates: false))
        lowRank[shape] = kernels
        return kernels
    }

    func dense(_ place: ModulePlace, rows: Int) throws -> Kernel {
        let shape = shape(place, rows, 0)
        if let known = dense[shape] { return known }
        let kernel = try Kernel.product(
            engine, m: shape.outputs, k: rows, n: shape.inputs, sourceStride: shape.outputStride,
            sourceTransposed: true, otherStride: shape.inputs, transposed: false, outputStride: shape.inputs,
            accumulates: true)
        dense[shape] = kernel
        return kernel
    }
}
