import Compute

/// PEFT's `add_weighted_adapter`, number for number (peft 0.21.2), but for its mistakes: an adapter's own scale is
/// used, rsLoRA or not, and what PEFT would drop or misread silently is refused. Vectors, which PEFT leaves out, are
/// summed by weight.
extension MergeMethod {
    /// Every method of PEFT, under `peft-` and its name there.
    static let peft: [MergeMethod] = [
        PEFT.cat, PEFT.linear, PEFT.svd, PEFT.ties, PEFT.tiesSVD, PEFT.dareLinear, PEFT.dareTies, PEFT.dareLinearSVD,
        PEFT.dareTiesSVD, PEFT.magnitudePrune, PEFT.magnitudePruneSVD,
    ]
}

/// One task's low-rank update of a parameter, as PEFT sees it.
struct PEFTPart: Sendable {
    let task: String
    let weight: Double
    let b: Matrix
    let a: Matrix
    /// α/r, or α/√r.
    let scale: Double

    /// scale · b · a, without the weight.
    var delta: Matrix { scale * (b * a) }

    /// √|weight · scale|, the share of each factor.
    var root: Double { abs(weight * scale).squareRoot() }

    /// The root with the weight's sign, which the factor A carries.
    var signedRoot: Double { weight * scale < 0 ? -root : root }
}

/// A rule's view of a parameter of the backbone, besides the tasks' updates.
struct PEFTContext: Sendable {
    let parameter: String
    let seed: UInt64
    /// The largest rank of all adapters.
    let largestRank: Int

    /// A matrix with elements dropped at random.
    ///
    /// - Parameter factor: which of a task's two factors it is; empty for a delta.
    func dropped(_ matrix: Matrix, _ density: Double, of part: PEFTPart, _ factor: String = "") -> Matrix {
        var dare = DARE(seed: seed, task: part.task, parameter: parameter + factor)
        return dare.drop(matrix, density: density)
    }
}

/// The methods of PEFT. Those that prune do so on the two factors, each for itself, or with `-svd` on the deltas.
enum PEFT {
    /// How the sign of an element is elected.
    enum Majority: String, CaseIterable, Sendable {
        /// The sign of the sum.
        case total
        /// The most frequent sign.
        case frequency
    }

    private static let rank = TypedParameter<Int?>.count(
        "rank", unlessSet: "the largest rank of the adapters", in: 1...65536, absentInVersion1: 65536,
        "rank of the result")
    private static let density = MergeMethod.density(0.5, "share of elements that is kept, in each tensor")
    private static let majority = TypedParameter<Majority>.choice(
        "majority", default: .total, "elect the sign of the sum (total) or the most frequent one (frequency)")
    private static let clamp = TypedParameter<Double?>.number(
        "clamp", unlessSet: "no clamping", in: 0...1, isAboveLower: true, absentInVersion1: 1,
        "clamp the factors to this quantile of their values")

    // MARK: Methods without pruning

    static let cat = method("cat", "ΔW = s · Σ w_t ΔW_t as stacked factors", needsOneRank: false) { parts, _ in
        (
            .side(bySide: parts.map(\.b)),
            .stacked(parts.map { ($0.weight * $0.scale) * $0.a })
        )
    }

    static let linear = method("linear", "ΔW = s · (Σ c_t B_t)(Σ ±c_t A_t), c_t = √|w_t α_t/r_t|") { parts, _ in
        linearSum(parts)
    }

    static let svd = method(
        "svd", "ΔW = s · the best rank-r part of Σ w_t ΔW_t", needsOneRank: false, parameters: rank, clamp
    ) { parts, context, rank, clamp in
        // The singular vectors of b · a from those of a small matrix: b = Q_b R_b, aᵀ = Q_a R_a.
        let left = try Matrix.side(bySide: parts.map { ($0.weight * $0.scale) * $0.b }).columnSpace()
        let right = try Matrix.stacked(parts.map(\.a)).transposed.columnSpace()
        let core = try Matrix.product(left.coordinates, transposed: false, right.coordinates, transposed: true)
            .leadingFactors(rank ?? context.largestRank)
        return clamped(
            left.basis * core.b, .product(core.a, transposed: false, right.basis, transposed: true), to: clamp)
    }

    // MARK: Methods that prune the factors

    static let ties = factorwise(
        "ties", "ΔW = s · TIES(c_t B_t) TIES(±c_t A_t)", parameters: density, majority
    ) { factors, _, density, majority in
        elected(factors.map { ($0.weight, pruned($0.matrix, density)) }, by: majority)
    }

    static let dareLinear = factorwise(
        "dare-linear", "ΔW = s · (Σ c_t DARE B_t)(Σ ±c_t DARE A_t)", parameters: density
    ) { factors, context, density in
        total(factors.map { ($0.weight, context.dropped($0.matrix, density, of: $0.part, $0.name)) })
    }

    static let dareTies = factorwise(
        "dare-ties", "ΔW = s · TIES(c_t DARE B_t) TIES(±c_t DARE A_t), without trimming",
        parameters: density, majority
    ) { factors, context, density, majority in
        elected(factors.map { ($0.weight, context.dropped($0.matrix, density, of: $0.part, $0.name)) }, by: majority)
    }

    static let magnitudePrune = factorwise(
        "magnitude-prune", "ΔW = s · (Σ c_t prune B_t)(Σ ±c_t prune A_t)", parameters: density
    ) { factors, _, density in total(factors.map { ($0.weight, pruned($0.matrix, density)) }) }

    // MARK: Methods that prune the deltas

    static let tiesSVD = deltawise(
        "ties-svd", "ΔW = s · the best rank-r part of TIES(w_t ΔW_t)", parameters: density, majority
    ) { parts, _, density, majority in
        elected(parts.map { ($0.weight, pruned($0.delta, density)) }, by: majority)
    }

    static let dareLinearSVD = deltawise(
        "dare-linear-svd", "ΔW = s · the best rank-r part of Σ w_t DARE ΔW_t", parameters: density
    ) { parts, context, density in total(parts.map { ($0.weight, context.dropped($0.delta, density, of: $0)) }) }

    static let dareTiesSVD = deltawise(
        "dare-ties-svd", "ΔW = s · the best rank-r part of TIES(w_t DARE ΔW_t), without trimming",
        parameters: density, majority
    ) { parts, context, density, majority in
        elected(parts.map { ($0.weight, context.dropped($0.delta, density, of: $0)) }, by: majority)
    }

    static let magnitudePruneSVD = deltawise(
        "magnitude-prune-svd", "ΔW = s · the best rank-r part of Σ w_t prune ΔW_t", parameters: density
    ) { parts, _, density in total(parts.map { ($0.weight, pruned($0.delta, density)) }) }

    // MARK: Frames

    /// One factor of a task's update, with its share of the weight and scale.
    private struct Factor {
        let part: PEFTPart
        let matrix: Matrix
        let weight: Double
        /// Which of the two it is.
        let name: String
    }

    /// A method that merges the B's and the A's, each for itself.
    private static func factorwise<each Value: Sendable>(
        _ name: String, _ formula: String, parameters: repeat TypedParameter<each Value>,
        rule: @escaping @Sendable (_ factors: [Factor], PEFTContext, repeat each Value) -> Matrix
    ) -> MergeMethod {
        method(name, formula, parameters: repeat each parameters) {
            (parts: [PEFTPart], context: PEFTContext, values: repeat each Value) in
            let b = parts.map { Factor(part: $0, matrix: $0.b, weight: $0.root, name: ".lora_B") }
            let a = parts.map { Factor(part: $0, matrix: $0.a, weight: $0.signedRoot, name: ".lora_A") }
            return (rule(b, context, repeat each values), rule(a, context, repeat each values))
        }
    }

    /// A method that merges the deltas, and cuts the result to a rank.
    private static func deltawise<each Value: Sendable>(
        _ name: String, _ formula: String, parameters: repeat TypedParameter<each Value>,
        rule: @escaping @Sendable (_ parts: [PEFTPart], PEFTContext, repeat each Value) -> Matrix
    ) -> MergeMethod {
        method(name, formula, needsOneRank: false, parameters: rank, clamp, repeat each parameters) {
            (parts: [PEFTPart], context: PEFTContext, rank: Int?, clamp: Double?, values: repeat each Value) in
            let (b, a) = try rule(parts, context, repeat each values).leadingFactors(rank ?? context.largestRank)
            return clamped(b, a, to: clamp)
        }
    }

    /// A method that merges the low-rank updates of each parameter.
    private static func method<each Value: Sendable>(
        _ name: String, _ formula: String, needsOneRank: Bool = true, parameters: repeat TypedParameter<each Value>,
        rule: @escaping @Sendable (_ parts: [PEFTPart], PEFTContext, repeat each Value) throws -> (b: Matrix, a: Matrix)
    ) -> MergeMethod {
        let name = "peft-" + name
        return MergeMethod(
            name, formula: formula, source: "Hugging Face PEFT 0.21, add_weighted_adapter",
            parameters: repeat each parameters
        ) { (inputs: MergeMethod.Inputs, values: repeat each Value) in
            let values = (repeat each values)
            return try merge(inputs, named: name, needsOneRank: needsOneRank) { parts, context in
                try rule(parts, context, repeat each values)
            }
        }
    }

    private static func merge(
        _ inputs: MergeMethod.Inputs, named method: String, needsOneRank: Bool,
        by rule: @Sendable (_ parts: [PEFTPart], PEFTContext) throws -> (b: Matrix, a: Matrix)
    ) throws -> [String: WeightDelta] {
        let matrices = PerParameterDeltas(inputs.tasks, keepsAll: true)
        let parts = try matrices.parameters.map { name, parts in try parts.map { try peftPart($0, name, method) } }
        let ranks = parts.joined().reduce(into: [String: Int]()) { $0[$1.task] = max($0[$1.task] ?? 0, $1.a.rows) }
        // PEFT takes a single adapter's factors as they are, whatever the method.
        let isAlone = inputs.tasks.count == 1
        if needsOneRank, !isAlone {
            try checkRanks(ranks, "\(method): it adds factors, so all adapters must have one rank")
            for (parameter, parts) in zip(matrices.parameters, parts) {
                let ranks = Dictionary(parts.map { ($0.task, $0.a.rows) }) { first, _ in first }
                try checkRanks(ranks, "\(method): \(parameter.name): all adapters must have one rank")
            }
        }
        let largest = ranks.values.max() ?? 1
        let results = try matrices.map { item, name, _ in
            let context = PEFTContext(parameter: name, seed: inputs.seed, largestRank: largest)
            return isAlone ? linearSum(parts[item]) : try rule(parts[item], context)
        }
        var merged = matrices.sums
        for ((name, parts), (b, a)) in zip(matrices.parameters, results) {
            merged[name] = WeightDelta(shape: parts[0].delta.shape, .lowRank(b: b, a: a, scale: 1))
        }
        return merged
    }

    private static func peftPart(_ part: WeightedDelta, _ parameter: String, _ method: String) throws -> PEFTPart {
        guard case .lowRank(let b, let a, let scale) = part.delta.storage else {
            throw MergeMethodError(
                reason: "\(method): \(parameter) of \(part.task) is no plain LoRA update (DoRA, or trained whole), "
                    + "which PEFT cannot merge")
        }
        return PEFTPart(task: part.task, weight: part.weight, b: b, a: a, scale: scale)
    }

    private static func checkRanks(_ ranks: [String: Int], _ complaint: String) throws {
        guard Set(ranks.values).count > 1 else { return }
        let list = ranks.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value)" }.joined(separator: ", ")
        throw MergeMethodError(reason: "\(complaint); \(list)")
    }

    // MARK: Rules

    private static func linearSum(_ parts: [PEFTPart]) -> (b: Matrix, a: Matrix) {
        (
            sum(parts.map { $0.root * $0.b }) ?? Matrix(rows: 0, columns: 0),
            sum(parts.map { $0.signedRoot * $0.a }) ?? Matrix(rows: 0, columns: 0)
        )
    }

    /// The sum of matrices of one shape, or nil of none.
    private static func sum(_ matrices: [Matrix]) -> Matrix? {
        matrices.first.map { first in matrices.dropFirst().reduce(first, +) }
    }

    private static func total(_ terms: [(weight: Double, matrix: Matrix)]) -> Matrix {
        sum(terms.map { $0.weight * $0.matrix }) ?? Matrix(rows: 0, columns: 0)
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

    /// The weighted mean of the elements with the elected sign. Signs are elected before weights count, and zero is +.
    private static func elected(_ terms: [(weight: Double, matrix: Matrix)], by majority: Majority) -> Matrix {
        guard let first = terms.first?.matrix else { return Matrix(rows: 0, columns: 0) }
        let size = first.values.count
        var votes = [Double](repeating: 0, count: size)
        for (_, matrix) in terms {
            for index in 0..<size {
                let value = matrix.values[index]
                votes[index] += majority == .frequency ? (value > 0 ? 1 : value < 0 ? -1 : 0) : value
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

    /// The factors with values beyond a quantile of all of them cut off; as they are without a quantile.
    private static func clamped(_ b: Matrix, _ a: Matrix, to quantile: Double?) -> (b: Matrix, a: Matrix) {
        guard let quantile, quantile < 1 else { return (b, a) }
        let sorted = (b.values + a.values).sorted()
        guard let last = sorted.indices.last else { return (b, a) }
        let position = quantile * Double(last)
        let lower = Int(position)
        let fraction = position - Double(lower)
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
    /// Of a large matrix only those are computed, from the smaller of its two Gram matrices; singular values that are
    /// small against the largest then have half the digits.
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
