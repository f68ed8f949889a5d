import Compute

extension MergeMethod {
    /// Compress, then merge: bases of rank r that serve all tasks, TIES in them; the result is an adapter of rank r.
    static let compressThenMerge = MergeMethod(
        "ctm",
        formula: "ΔW = s · U F (TIES(Fᵀ w_t M_t G)) Gᵀ V, F and G by a Tucker decomposition of rank r of the cores M_t",
        source: "Compress-then-Merge, ICML 2026 (arXiv 2606.03723)",
        parameters: .count("rank", default: 16, in: 1...65536, "rank of the merged delta, at most"),
        density(0.25, "share of a compressed core's elements that is kept"),
        .number(
            "beta", default: 0.25, in: 0...1, candidates: [0, 0.25, 0.5, 1],
            "how much a task's own norm counts when the bases are computed")
    ) { inputs, rank, density, beta in
        try PerParameterDeltas(inputs.tasks).merged { _, parts in
            let space = try CoreSpace(parts.map(\.delta))
            let (left, right) = try tucker(balanced(space.slices, by: beta), rank: rank)
            let cores = space.slices.map { Matrix.product(left, transposed: true, $0) * right }
            let merged = TIES.disjointMean(
                cores, thresholds: cores.map { TIES.threshold($0, density: density) })
            let a = Matrix.product(right, transposed: true, space.v)
            return .lowRank(b: space.u * (left * merged), a: a, scale: 1)
        }
    }

    /// The slices with norms moved towards their mean: β‖M‖ + (1 − β) · mean.
    private static func balanced(_ slices: [Matrix], by beta: Double) -> [Matrix] {
        let norms = slices.map(\.norm)
        let mean = norms.reduce(0, +) / Double(max(norms.count, 1))
        return zip(slices, norms).map { slice, norm in
            let target = beta * norm + (1 - beta) * mean
            return norm > 0 ? (target / norm) * slice : slice
        }
    }

    /// Bases of rows and of columns in which slices keep the most (HOOI, started by HOSVD).
    private static func tucker(_ slices: [Matrix], rank: Int) throws -> (left: Matrix, right: Matrix) {
        var left = try leading(slices, rank)
        var right = try leading(slices.map(\.transposed), rank)
        var last = 0.0
        let total = slices.reduce(0) { $0 + $1.norm * $1.norm }
        for _ in 0..<1000 {
            left = try leading(slices.map { $0 * right }, rank)
            let reduced = slices.map { Matrix.product($0, transposed: true, left) }
            right = try leading(reduced, rank)
            let energy = reduced.reduce(0.0) { sum, slice in
                let norm = Matrix.product(right, transposed: true, slice).norm
                return sum + norm * norm
            }
            let error = total > 0 ? (max(0, total - energy) / total).squareRoot() : 0
            if abs(error - last) < 1e-6 { break }
            last = error
        }
        return (left, right)
    }

    /// The leading left singular vectors of the matrices side by side.
    private static func leading(_ matrices: [Matrix], _ rank: Int) throws -> Matrix {
        let wide = Matrix.side(bySide: matrices)
        return try Matrix.product(wide, transposed: false, wide, transposed: true).leadingEigenvectors(rank).transposed
    }
}
