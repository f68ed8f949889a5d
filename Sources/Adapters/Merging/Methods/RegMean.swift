import Compute
import Files
import Tensors

extension MergeMethod {
    /// RegMean: the weight whose outputs are nearest to every task's own on that task's inputs.
    static let regMean = MergeMethod(
        "regmean",
        formula: "ΔW = s · (Σ w_t ΔW_t G_t) (Σ G_t)⁻¹, G_t = Σ xᵀx / n with off-diagonals times damping",
        source:
            "Jin et al., Dataless Knowledge Fusion by Merging Weights of Language Models, ICLR 2023 (arXiv 2212.09849)",
        usesImages: true,
        parameters: .number(
            "damping", default: 0.9, in: 0...1, candidates: [0.5, 0.75, 0.9, 0.95, 1],
            "factor on the off-diagonal elements of the inputs' moments")
    ) { inputs, damping in
        let tasks = inputs.tasks
        var merged = weightedSum(tasks, factor: 1 / Double(max(tasks.count, 1)))
        let names = merged.keys.filter { $0.hasSuffix(".weight") && merged[$0]?.isVector == false }.sorted()
        for (index, name) in names.enumerated() {
            try LongWork.report("merging layers", index, of: names.count)
            guard let delta = merged[name] else { continue }
            let module = String(name.dropLast(".weight".count))
            let moments = tasks.map { $0.inputMoments[module] }
            guard !moments.contains(where: { $0 == nil }) else { continue }
            let regression = try regression(
                zip(tasks, moments.compactMap(\.self)).map { ($0.weight, $0.deltas[name], $1) }, damping: damping)
            if let regression { merged[name] = WeightDelta(shape: delta.shape, .dense(regression)) }
        }
        return merged
    }

    private static func regression(
        _ tasks: [(weight: Double, delta: WeightDelta?, moments: Matrix)], damping: Double
    ) throws -> Matrix? {
        guard let size = tasks.first?.moments.rows, let rows = tasks.compactMap(\.delta).first?.rows else {
            return nil
        }
        var (left, right) = (Matrix(rows: size, columns: size), Matrix(rows: size, columns: rows))
        for (weight, delta, moments) in tasks {
            var damped = moments
            for row in 0..<size {
                for column in 0..<size where row != column { damped[row, column] *= damping }
            }
            left = left + damped
            if let delta {
                right = right + weight * Matrix.product(damped, transposed: false, delta.dense, transposed: true)
            }
        }
        // Inputs that are never active leave a zero on the diagonal.
        let floor = 1e-9 * (0..<size).reduce(0) { $0 + left[$1, $1] } / Double(size)
        for index in 0..<size { left[index, index] += max(floor, 1e-300) }
        return try left.solvePositiveDefinite(right).transposed
    }
}
