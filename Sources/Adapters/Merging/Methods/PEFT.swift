import Compute

/// PEFT's `add_weighted_adapter`, number for number (peft 0.21.2), but for its mistakes: an adapter's own scale is used,
/// rsLoRA or not, and what PEFT would drop or misread without a word is refused. Vectors, which PEFT leaves out, are
/// summed by weight.
extension MergeMethod {
    /// Every method of PEFT, under `peft-` and its name there.
    static let peft: [MergeMethod] = [
        PEFTRule.cat, PEFTRule.linear, PEFTRule.svd, PEFTRule.ties, PEFTRule.tiesSVD, PEFTRule.dareLinear,
        PEFTRule.dareTies, PEFTRule.dareLinearSVD, PEFTRule.dareTiesSVD, PEFTRule.magnitudePrune,
        PEFTRule.magnitudePruneSVD,
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

/// What a rule knows besides the parts.
struct PEFTContext: Sendable {
    let method: String
    let parameter: String
    let settings: MergeSettings
    /// The largest rank of all adapters.
    let largestRank: Int

    /// The rank of a truncated result.
    var rank: Int {
        let asked = settings["rank"]
        return asked < PEFTRule.rank.defaultValue ? Int(asked) : largestRank
    }

    /// A matrix with elements dropped at random; `which` tells a task's two factors apart.
    func dropped(_ matrix: Matrix, of part: PEFTPart, _ which: String = "") -> Matrix {
        var drop = DARE(seed: settings.seed, task: part.task, parameter: parameter + which)
        return drop.drop(matrix, density: settings["density"])
    }
}

/// PEFT's rules for one parameter.
enum PEFTRule {
    typealias Rule = @Sendable (_ parts: [PEFTPart], _ context: PEFTContext) throws -> (b: Matrix, a: Matrix)

    static let rank = MergeMethod.Parameter(
        "rank", default: 65536, in: 1...65536, isWhole: true,
        "rank of the result; when it is left at 65536, the largest rank of the adapters")
    static let density = MergeMethod.density(0.5, "share of elements that is kept, in each tensor")
    static let majority = MergeMethod.Parameter(
        "majority", default: 0, in: 0...1, isWhole: true, "elect the sign of the sum (0) or the most frequent one (1)")
    static let clamp = MergeMethod.Parameter(
        "clamp", default: 1, in: 0...1, isAboveLower: true,
        "clamp the factors to this quantile of their values; 1 is not at all")

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
        "svd", "ΔW = s · the best rank-r part of Σ w_t ΔW_t", [rank, clamp], needsOneRank: false
    ) { parts, context in
        // The singular vectors of b · a from those of a small matrix: b = Q_b R_b, aᵀ = Q_a R_a.
        let left = try Matrix.side(bySide: parts.map { ($0.weight * $0.scale) * $0.b }).columnSpace()
        let right = try Matrix.stacked(parts.map(\.a)).transposed.columnSpace()
        let core = try Matrix.product(left.coordinates, transposed: false, right.coordinates, transposed: true)
            .leadingFactors(context.rank)
        return clamped(left.basis * core.b, .product(core.a, transposed: false, right.basis, transposed: true), context)
    }

    /// The methods' common frame: a rule for each parameter that low-rank updates change.
    static func method(
        _ name: String, _ formula: String, _ parameters: [MergeMethod.Parameter] = [], needsOneRank: Bool = true,
        _ rule: @escaping Rule
    ) -> MergeMethod {
        let name = "peft-" + name
        return MergeMethod(
            name: name, formula: formula, source: "Hugging Face PEFT 0.21, add_weighted_adapter",
            parameters: [MergeMethod.scale] + parameters
        ) { tasks, settings in
            try merge(tasks, settings, named: name, needsOneRank: needsOneRank, by: rule)
        }
    }

    private static func merge(
        _ tasks: [TaskVector], _ settings: MergeSettings, named method: String, needsOneRank: Bool, by rule: Rule
    ) throws -> [String: WeightDelta] {
        let factor = settings["scale"]
        let matrices = PerParameterDeltas(tasks, factor: factor, keepsAll: true)
        let parts = try matrices.parameters.map { name, parts in try parts.map { try peftPart($0, name, method) } }
        let ranks = parts.joined().reduce(into: [String: Int]()) { $0[$1.task] = max($0[$1.task] ?? 0, $1.a.rows) }
        // PEFT takes a single adapter's factors as they are, whatever the method.
        let isAlone = tasks.count == 1
        if needsOneRank, !isAlone {
            try checkRanks(ranks, "\(method): it adds factors, so all adapters must have one rank")
            for (parameter, parts) in zip(matrices.parameters, parts) {
                let ranks = Dictionary(parts.map { ($0.task, $0.a.rows) }) { first, _ in first }
                try checkRanks(ranks, "\(method): \(parameter.name): all adapters must have one rank")
            }
        }
        let largest = ranks.values.max() ?? 1
        let results = try matrices.map { item, name, _ in
            let context = PEFTContext(method: method, parameter: name, settings: settings, largestRank: largest)
            return isAlone ? linearSum(parts[item]) : try rule(parts[item], context)
        }
        var merged = matrices.sums
        for ((name, parts), (b, a)) in zip(matrices.parameters, results) {
            merged[name] = WeightDelta(shape: parts[0].delta.shape, .lowRank(b: b, a: a, scale: factor))
        }
        return merged
    }

    private static func peftPart(_ part: WeightedDelta, _ parameter: String, _ method: String) throws -> PEFTPart {
        guard case .lowRank(let b, let a, let scale) = part.delta.storage else {
            throw SettingError(
                reason: "\(method): \(parameter) of \(part.task) is no plain LoRA update (DoRA, or trained whole), "
                    + "which PEFT cannot merge")
        }
        return PEFTPart(task: part.task, weight: part.weight, b: b, a: a, scale: scale)
    }

    private static func checkRanks(_ ranks: [String: Int], _ complaint: String) throws {
        guard Set(ranks.values).count > 1 else { return }
        let found = ranks.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value)" }.joined(separator: ", ")
        throw SettingError(reason: "\(complaint); \(found)")
    }

    private static func linearSum(_ parts: [PEFTPart]) -> (b: Matrix, a: Matrix) {
        (
            sum(parts.map { $0.root * $0.b }) ?? Matrix(rows: 0, columns: 0),
            sum(parts.map { $0.signedRoot * $0.a }) ?? Matrix(rows: 0, columns: 0)
        )
    }

    /// The sum of matrices of one shape, or nil of none.
    static func sum(_ matrices: [Matrix]) -> Matrix? {
        matrices.first.map { first in matrices.dropFirst().reduce(first, +) }
    }
}
