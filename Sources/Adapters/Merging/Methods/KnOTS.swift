import Compute

extension MergeMethod {
    private static let knotsPaper =
        "Stoica et al., Model Merging with SVD to Tie the KnOTS, ICLR 2025 (arXiv 2410.19735)"

    /// TIES on the tasks' coordinates in a basis of outputs that they share.
    static let knotsTies = MergeMethod(
        "knots-ties",
        formula: "ΔW = s · U TIES(w_t C_t) with [ΔW_1 | … | ΔW_T] = U [C_1 | … | C_T]; trimmed over all of a task",
        source: knotsPaper, parameters: density(0.2, "share of a task's coordinates that is kept")
    ) { inputs, density in
        let matrices = PerParameterDeltas(inputs.tasks)
        let aligned = try alignments(matrices)
        let thresholds = try TIES.thresholds(matrices, density: density) { item, part in
            aligned[item].coordinates(part)
        }
        return try elected(matrices, aligned) { alignment, index, part, _ in
            (alignment.coordinates(index), thresholds[part.index])
        }
    }

    /// TIES' sign election over randomly thinned coordinates in a basis of outputs that the tasks share.
    static let knotsDareTies = MergeMethod(
        "knots-dare-ties",
        formula: "ΔW = s · U DARE-TIES(w_t C_t) with [ΔW_1 | … | ΔW_T] = U [C_1 | … | C_T]",
        source: "\(knotsPaper), with DARE (arXiv 2311.03099)",
        parameters: density(0.5, "chance of a coordinate to be kept")
    ) { inputs, density in
        let matrices = PerParameterDeltas(inputs.tasks)
        return try elected(matrices, alignments(matrices)) { alignment, index, part, name in
            var dare = DARE(seed: inputs.seed, task: part.task, parameter: name)
            return (dare.drop(alignment.coordinates(index), density: density), 0)
        }
    }

    /// Merges by the mean of the coordinates that have the elected sign.
    private static func elected(
        _ matrices: PerParameterDeltas, _ aligned: [Alignment],
        _ values:
            @Sendable (Alignment, _ index: Int, WeightedDelta, _ name: String) -> (
                matrix: Matrix, threshold: Double
            )
    ) throws -> [String: WeightDelta] {
        let byName = Dictionary(uniqueKeysWithValues: zip(matrices.parameters.map(\.name), aligned))
        return try matrices.merged { name, parts in
            guard let alignment = byName[name] else { return parts[0].delta.storage }
            let trimmed = parts.enumerated().map { index, part in values(alignment, index, part, name) }
            let mean = TIES.disjointMean(trimmed.map(\.matrix), thresholds: trimmed.map(\.threshold))
            return .lowRank(b: alignment.basis, a: mean, scale: 1)
        }
    }

    private static func alignments(_ matrices: PerParameterDeltas) throws -> [Alignment] {
        try matrices.map { _, _, parts in try Alignment(parts.map(\.delta)) }
    }
}

/// The deltas of a parameter in a basis of outputs that they share: ΔW_t = basis · coordinates(t).
///
/// The basis holds the left singular vectors of [ΔW_1 | … | ΔW_T]. They are found without that wide matrix: with
/// [B_1 | … | B_T] = Q [R_1 | … | R_T] and A_t = L_t Q_t, they are Q times those of [R_1 L_1 | … | R_T L_T].
private struct Alignment: Sendable {
    let basis: Matrix
    /// basisᵀ · B_t, and A_t.
    private let factors: [(left: Matrix, a: Matrix)]

    init(_ deltas: [WeightDelta]) throws {
        let factors = try deltas.map { try $0.factors() }
        let left = try Matrix.side(bySide: factors.map(\.b)).columnSpace()
        var (blocks, small, start) = ([Matrix](), [Matrix](), 0)
        for (b, a) in factors {
            let block = left.coordinates[columns: start..<start + b.columns]
            // A_t has orthonormal rows after this, so it does not change the singular vectors on the left.
            let inputs = try a.transposed.columnSpace()
            small.append(.product(block, transposed: false, inputs.coordinates, transposed: true))
            blocks.append(block)
            start += b.columns
        }
        let vectors = try Matrix.side(bySide: small).columnSpace().basis
        basis = left.basis * vectors
        self.factors = zip(blocks, factors).map { (.product(vectors, transposed: true, $0), $1.a) }
    }

    /// C_t, (directions, inputs).
    func coordinates(_ index: Int) -> Matrix { factors[index].left * factors[index].a }
}
