import Compute
import Tensors
import VisionTransformers

/// The low-rank update of one module as an adapter's file holds it: scale 1, in 32-bit floats.
struct LoRAExport {
    /// The largest rank of a change that is not known by its factors, unless another is asked for.
    static let defaultRank = 64

    /// The module's canonical name.
    let module: String
    /// (r, inputs); of a convolution (r, channels, height, width).
    let a: Tensor
    /// (outputs, r); of a convolution (outputs, r, 1, 1).
    let b: Tensor
    /// ‖ΔW‖² of the change.
    let square: Double
    /// The part of it that was cut off.
    let lost: Double

    /// The rank.
    var rank: Int { a.shape[0] }
    /// The part of ‖ΔW‖² that is kept.
    var energy: Double { square > 0 ? 1 - lost / square : 1 }

    /// The updates of all modules that a merge changes, in the order of the layers.
    ///
    /// - Throws: `ModelError` naming every changed parameter that LoRA cannot hold, or saying that nothing is changed.
    static func all(of merged: MergedBackbone, rank: Int?) throws -> [LoRAExport] {
        let deltas = merged.deltas.filter { !$0.value.isZero }.sorted { ParameterNames.isBefore($0.key, $1.key) }
        let shapes = Dictionary(merged.base.configuration.parameterShapes.map { ($0.0, $0.1) }) { $1 }
        let others = deltas.map(\.key).filter { name in
            guard name.hasSuffix(".weight"), let shape = shapes[name] else { return true }
            return shape.count != 2 && name != ParameterNames.patchProjection + ".weight"
        }
        guard others.isEmpty else {
            throw ModelError(
                merged.base.folder,
                "LoRA cannot hold the merged delta of \(others.joined(separator: ", ")); write a bundle instead")
        }
        guard !deltas.isEmpty else {
            throw ModelError(merged.base.folder, "the merge changes nothing, and an adapter has to adapt something")
        }
        return try deltas.map { try LoRAExport($0.key, $0.value, rank: rank) }
    }

    private init(_ parameter: String, _ delta: WeightDelta, rank: Int?) throws {
        module = String(parameter.dropLast(".weight".count))
        guard delta.isFinite else { throw ModelError(parameter, "the merge gives values that are not finite numbers") }
        let (b, a): (Matrix, Matrix)
        if case .lowRank(let left, let right, let scale) = delta.storage,
            right.rows <= min(delta.rows, delta.columns),
            right.rows <= rank ?? .max
        {
            (b, a) = (scale * left, right)
            square = WeightDelta(shape: delta.shape, .lowRank(b: b, a: a, scale: 1)).squaredNorm
            lost = 0
        } else {
            let factored = try DeltaSVD(delta, of: parameter)
            let isKnown = if case .lowRank = delta.storage { true } else { false }
            let cut = factored.cut(to: rank ?? (isKnown ? .max : LoRAExport.defaultRank))
            (b, a) = (cut.b, cut.a)
            square = factored.norm * factored.norm
            lost = cut.lost
        }
        let tail = delta.shape.count > 2 ? delta.shape.dropFirst(2).map { _ in 1 } : []
        self.a = Tensor(shape: [a.rows] + delta.shape.dropFirst(), values: a.values.map { Float($0) })
        self.b = Tensor(shape: [b.rows, b.columns] + tail, values: b.values.map { Float($0) })
        guard (self.a.values + self.b.values).allSatisfy(\.isFinite) else {
            throw ModelError(parameter, "the merged delta does not fit into 32-bit floats")
        }
    }
}
