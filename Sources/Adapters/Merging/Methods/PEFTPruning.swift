import Compute

/// PEFT's rules that prune: on the two factors each for itself, or with `-svd` on the deltas.
extension PEFTRule {
    static let ties = factorwise(
        "ties", "ΔW = s · TIES(c_t B_t) TIES(±c_t A_t)", [density, majority]
    ) { parts, context in
        elected(parts.map { ($0.weight, pruned($0.matrix, context.settings["density"])) }, context)
    }

    static let dareLinear = factorwise(
        "dare-linear", "ΔW = s · (Σ c_t DARE B_t)(Σ ±c_t DARE A_t)", [density]
    ) { parts, context in total(parts.map { ($0.weight, context.dropped($0.matrix, of: $0.part, $0.which)) })
    }

    static let dareTies = factorwise(
        "dare-ties", "ΔW = s · TIES(c_t DARE B_t) TIES(±c_t DARE A_t), without trimming", [density, majority]
    ) { parts, context in
        elected(parts.map { ($0.weight, context.dropped($0.matrix, of: $0.part, $0.which)) }, context)
    }

    static let magnitudePrune = factorwise(
        "magnitude-prune", "ΔW = s · (Σ c_t prune B_t)(Σ ±c_t prune A_t)", [density]
    ) { parts, context in total(parts.map { ($0.weight, pruned($0.matrix, context.settings["density"])) }) }

    static let tiesSVD = deltawise(
        "ties-svd", "ΔW = s · the best rank-r part of TIES(w_t ΔW_t)", [density, majority]
    ) { parts, context in
        elected(parts.map { ($0.weight, pruned($0.delta, context.settings["density"])) }, context)
    }

    static let dareLinearSVD = deltawise(
        "dare-linear-svd", "ΔW = s · the best rank-r part of Σ w_t DARE ΔW_t", [density]
    ) { parts, context in total(parts.map { ($0.weight, context.dropped($0.delta, of: $0)) }) }

    static let dareTiesSVD = deltawise(
        "dare-ties-svd", "ΔW = s · the best rank-r part of TIES(w_t DARE ΔW_t), without trimming", [density, majority]
    ) { parts, context in elected(parts.map { ($0.weight, context.dropped($0.delta, of: $0)) }, context) }

    static let magnitudePruneSVD = deltawise(
        "magnitude-prune-svd", "ΔW = s · the best rank-r part of Σ w_t prune ΔW_t", [density]
    ) { parts, context in total(parts.map { ($0.weight, pruned($0.delta, context.settings["density"])) }) }

    /// A factor of one part with the share that it has.
    struct Factor {
        let part: PEFTPart
        let matrix: Matrix
        let weight: Double
        /// Which of the two it is.
        let which: String
    }

    private static func factorwise(
        _ name: String, _ formula: String, _ parameters: [MergeMethod.Parameter],
        _ rule: @escaping @Sendable (_ factors: [Factor], _ context: PEFTContext) -> Matrix
    ) -> MergeMethod {
        method(name, formula, parameters) { parts, context in
            (
                rule(parts.map { Factor(part: $0, matrix: $0.b, weight: $0.root, which: ".lora_B") }, context),
                rule(parts.map { Factor(part: $0, matrix: $0.a, weight: $0.signedRoot, which: ".lora_A") }, context)
            )
        }
    }

    private static func deltawise(
        _ name: String, _ formula: String, _ parameters: [MergeMethod.Parameter],
        _ rule: @escaping @Sendable (_ parts: [PEFTPart], _ context: PEFTContext) -> Matrix
    ) -> MergeMethod {
        method(name, formula, parameters + [rank, clamp], needsOneRank: false) { parts, context in
            let (b, a) = try rule(parts, context).leadingFactors(context.rank)
            return clamped(b, a, context)
        }
    }

    /// The share `density` of the largest elements of one tensor, the rest zero.
    private static func pruned(_ matrix: Matrix, _ density: Double) -> Matrix {
        guard density < 1 else { return matrix }
        let count = Int(density * Double(matrix.values.count))
        guard count > 0 else { return 0 * matrix }
        let threshold = matrix.values.map(abs).largest(count)
        return Matrix(
            rows: matrix.rows, columns: matrix.columns, values: matrix.values.map { abs($0) >= threshold ? $0 : 0 })
    }

    private static func total(_ terms: [(weight: Double, matrix: Matrix)]) -> Matrix {
        sum(terms.map { $0.weight * $0.matrix }) ?? Matrix(rows: 0, columns: 0)
    }

    /// The weighted mean of the elements with the elected sign. Signs are elected before weights count, and zero is +.
    private static func elected(_ terms: [(weight: Double, matrix: Matrix)], _ context: PEFTContext) -> Matrix {
        guard let first = terms.first?.matrix else { return Matrix(rows: 0, columns: 0) }
        let size = first.values.count
        var votes = [Double](repeating: 0, count: size)
        let byFrequency = context.settings["majority"] == 1
        for (_, matrix) in terms {
            for index in 0..<size {
                let value = matrix.values[index]
                votes[index] += byFrequency ? (value > 0 ? 1 : value < 0 ? -1 : 0) : value
            }
        }
        var result = Matrix(rows: first.rows, columns: first.columns)
        var agreeing = [Double](repeating: 0, count: size)
        for (weight, matrix) in terms {
            for index in 0..<size {
                let value = matrix.values[index]
                guard votes[index] >= 0 ? value > 0 : value < 0 else { continue }
                result.values[index] += weight * value
                agreeing[index] += 1
            }
        }
        for index in 0..<size { result.values[index] /= max(agreeing[index], 1) }
        return result
    }

    /// The factors with values beyond a quantile of all of them cut off.
    static func clamped(_ b: Matrix, _ a: Matrix, _ context: PEFTContext) -> (b: Matrix, a: Matrix) {
        let share = context.settings["clamp"]
        let sorted = (b.values + a.values).sorted()
        guard share < 1, let last = sorted.indices.last else { return (b, a) }
        let place = share * Double(last)
        let lower = Int(place)
        let fraction = place - Double(lower)
        let limit = sorted[lower] + fraction * (sorted[min(lower + 1, last)] - sorted[lower])
        func cut(_ matrix: Matrix) -> Matrix {
            Matrix(
                rows: matrix.rows, columns: matrix.columns, values: matrix.values.map { min(max($0, -limit), limit) })
        }
        return (cut(b), cut(a))
    }
}

extension Matrix {
    /// U_r diag(σ) and Vᵀ_r of the leading singular values.
    ///
    /// Of a large matrix only those are computed, from the smaller of its two Gram matrices; this costs half the digits of
    /// singular values that are small against the largest.
    func leadingFactors(_ rank: Int) throws(ComputeError) -> (b: Matrix, a: Matrix) {
        let size = min(rows, columns)
        guard size > 128, rank < size / 4 else {
            let svd = try singularValueDecomposition()
            let rank = min(rank, size)
            return (svd.u.firstColumns(rank) * .diagonal(Array(svd.values[..<rank])), svd.vt.firstRows(rank))
        }
        if columns <= rows {
            let vt = try Matrix.product(self, transposed: true, self).leadingEigenvectors(rank)
            return (.product(self, transposed: false, vt, transposed: true), vt)
        }
        let ut = try Matrix.product(self, transposed: false, self, transposed: true).leadingEigenvectors(rank)
        var (a, values) = (ut * self, [Double]())
        for row in 0..<rank {
            let range = row * columns..<(row + 1) * columns
            let norm = a.values[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
            if norm > 0 { for index in range { a.values[index] /= norm } }
            values.append(norm)
        }
        return (ut.transposed * .diagonal(values), a)
    }
}
